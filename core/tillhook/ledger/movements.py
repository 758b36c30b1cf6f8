"""Reading the ledger's rows. Takes no lock."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, false, func, literal_column, or_, select, type_coerce
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse, visible_warehouses
from tillhook.db import among
from tillhook.http import narrowed, page
from tillhook.ledger.about import FEW, documents_found, facts_of, names_of, show_document
from tillhook.ledger.models import KINDS, Lot, StockMovement
from tillhook.ledger.posting.values import Document
from tillhook.ledger.schemas import MovementOut
from tillhook.products.models import Variant
from tillhook.runtime import actor_of

#: SQLite joins no more than 500 queries.
_MOST_APART = 400
_FILTERS = {
    "variant": StockMovement.variant_id,
    "channel": StockMovement.channel,
    "date_from": StockMovement.occurred_at.__ge__,
    "date_to": StockMovement.occurred_at.__lt__,
}


def movements(session: Session, query: dict[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the ledger's rows of the warehouses that the actor sees, by default what happened last first.

    By time, product, variant, batch, document, person or kind it costs the same however much has moved, in this order.
    """
    statement = narrowed(select(StockMovement).where(*_places(session, query)), query, _FILTERS)
    if "document_type" in query or "document_id" in query:
        statement = statement.where(_of_document(session, query.get("document_type"), query.get("document_id")))
    begun = False
    for asked in ({"person": query.get("person")}, {"number": query.get("document")}):
        if any(asked.values()):
            found, few = documents_found(session, StockMovement.document_type, StockMovement.document_id, **asked)
            statement, begun = statement.where(found), begun or few
    apart: Sequence[ColumnElement[bool]] = ()
    if "batch" in query:
        statement = narrowed(statement, query, {"product": StockMovement.product_id})
        apart = _by_lot(session, query["batch"])
    elif "variant" in query:
        statement = narrowed(statement, query, {"product": StockMovement.product_id})
    elif "product" in query:
        apart = _by_variant(session, query["product"])
    key: Any = StockMovement.id
    occurred_at: Any = StockMovement.occurred_at
    if begun:
        # What few documents moved is looked up and put in order, and no index walked that has the order.
        key, occurred_at = func.coalesce(key, key), func.coalesce(occurred_at, occurred_at)
        statement, apart = (statement.where(or_(*apart)) if apart else statement), ()
    ordering = {"id": key, "recorded_at": key, "occurred_at": occurred_at}
    rows, cursor = page(session, statement, ordering=ordering, query=query, apart=apart)
    return _show(session, rows), cursor


def _show(session: Session, rows: Sequence[StockMovement]) -> list[dict[str, Any]]:
    names = names_of(session, rows, {place for row in rows for place in (row.source_id, row.destination_id)})
    facts = facts_of(session, {_document(row) for row in rows})
    shows_cost = actor_of(session).can("catalogue:cost:read")
    return [
        MovementOut.of(
            row,
            **names.of(row),
            source_name=names.places.get(row.source_id, ""),
            destination_name=names.places.get(row.destination_id, ""),
            person=facts[_document(row)].person,
            person_name=facts[_document(row)].person_name,
            reason=facts[_document(row)].reason,
            document=show_document(_document(row), facts[_document(row)]),
            **({"unit_cost": row.unit_cost} if shows_cost else {}),
        )
        for row in rows
    ]


def _document(row: StockMovement) -> Document:
    return Document(row.document_type, row.document_id)


def _places(session: Session, query: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return the conditions on the warehouses, of which one is the movement's source or destination."""
    conditions: list[ColumnElement[bool]] = []
    visible = visible_warehouses(session)
    if visible is not None:
        places = sorted(visible)
        conditions.append(or_(StockMovement.source_id.in_(places), StockMovement.destination_id.in_(places)))
    if "warehouse" in query:
        place = query["warehouse"]
        require_warehouse(session, place)
        conditions.append(or_(StockMovement.source_id == place, StockMovement.destination_id == place))
    return conditions


def _by_variant(session: Session, product_id: int) -> list[ColumnElement[bool]]:
    """Return a condition for each variant of the product, whose movements an index has in their order."""
    variants = session.scalars(select(Variant.id).where(Variant.product_id == product_id).order_by(Variant.id)).all()
    if len(variants) > _MOST_APART:
        return [among(StockMovement.variant_id, variants)]
    return [StockMovement.variant_id == each for each in variants] or [false()]


def _by_lot(session: Session, batch_number: str) -> list[ColumnElement[bool]]:
    """Return a condition for each lot of the batch number, likewise."""
    lots = session.scalars(select(Lot.id).where(Lot.batch_number == batch_number).order_by(Lot.id)).all()
    # As the index says it.
    is_of_lot = StockMovement.lot_id != literal_column("0")
    if len(lots) > _MOST_APART:
        return [and_(among(StockMovement.lot_id, lots), is_of_lot)]
    return [and_(StockMovement.lot_id == each, is_of_lot) for each in lots] or [false()]


def _of_document(session: Session, kind: str | None, key: int | None) -> ColumnElement[bool]:
    """Return the condition of the filters for documents, such that the database takes the index that fits."""
    name = StockMovement.document_type
    if key is not None:
        return and_(name.in_(_kinds()) if kind is None else name == kind, StockMovement.document_id == key)
    if kind in KINDS:
        # The index of what no channel moved; and no stock document is of a channel.
        return and_(name == kind, StockMovement.channel.is_(None))
    few = session.scalars(select(StockMovement.id).where(name == kind).limit(FEW + 1)).all()
    if len(few) <= FEW:
        return among(StockMovement.id, few)
    # Of a kind that is frequent the first ones are found by time; its own index would have all of them sorted.
    return type_coerce(name + "", Text) == kind


def _kinds() -> Select[str]:
    """Return the query for the kinds of documents that have moved anything, a step through an index for each."""
    name = StockMovement.document_type
    found = select(func.min(name).label("name")).cte("kind", recursive=True)
    following = select(func.min(name)).where(name > found.c.name).scalar_subquery()
    found = found.union_all(select(following).where(found.c.name.is_not(None)))
    return select(found.c.name)
