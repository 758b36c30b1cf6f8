"""Categories, units and taxes over HTTP."""

from typing import Any

from tillhook.catalogue import schemas
from tillhook.catalogue.answers import CategoryOut, TaxOut, UnitOut
from tillhook.catalogue.setup import Described, create_setup, list_setup, update_setup
from tillhook.http import Answer, Call, Routes, Schema, page_of
from tillhook.products.models import Category, Tax, Unit

routes = Routes()


def _declare(
    path: str,
    model: type[Described],
    name: str,
    body: type[Schema],
    patch: type[Schema],
    answer: type[Answer],
) -> None:
    """Declare GET, POST and PATCH of one of the short tables that describe products."""
    manage = "catalogue:setup:manage"

    @routes.get(path, permission="catalogue:product:read", answer=page_of(answer), summary=f"List the {path[1:]}.")
    def read_all(call: Call) -> dict[str, Any]:
        return answer.page(list_setup(call.session, model))

    @routes.post(
        path, permission=manage, body=body, answer=answer, status=201, summary=f"Create a {name}.", problems=(409,)
    )
    def create(call: Call) -> dict[str, Any]:
        return answer.of(create_setup(call.session, model, call.body))

    @routes.patch(
        f"{path}/{{key:int}}",
        permission=manage,
        body=patch,
        answer=answer,
        summary=f"Change a {name}.",
        problems=(409,),
    )
    def update(call: Call, key: int) -> dict[str, Any]:
        return answer.of(update_setup(call.session, model, key, call.body))


_declare("/categories", Category, "category", schemas.CategoryIn, schemas.CategoryPatch, CategoryOut)
_declare("/units", Unit, "unit", schemas.UnitIn, schemas.UnitPatch, UnitOut)
_declare("/taxes", Tax, "tax", schemas.TaxIn, schemas.TaxPatch, TaxOut)
