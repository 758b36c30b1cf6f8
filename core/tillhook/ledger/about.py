"""What movements, documents and alerts are shown with: who did it and why, and the names of what they name by key."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, false, or_, select
from sqlalchemy.orm import Session

from tillhook.access import UserAccount
from tillhook.db import among, grouped
from tillhook.hooks import DocumentFacts
from tillhook.ledger.models import Location, Lot
from tillhook.ledger.posting.values import Document
from tillhook.products.models import Product, Variant
from tillhook.runtime import runtime_of

#: Up to that many rows are few: they are looked up, and then put in order.
FEW = 1_000
_NOTHING = DocumentFacts()


def facts_of(session: Session, documents: Iterable[Document]) -> dict[Document, DocumentFacts]:
    """Return what the owner of each document says of it, with the person's name; nothing of those that nobody owns."""
    types = runtime_of(session).registry.document_types
    facts = dict.fromkeys(documents, _NOTHING)
    for name, keys in grouped(sorted(facts)).items():
        if name in types:
            said = types[name].describe(session, keys)
            facts |= {Document(name, key): said[key] for key in keys if key in said}
    unnamed = [each.person for each in facts.values() if each.person is not None and not each.person_name]
    names = user_names(session, unnamed)
    return {
        document: replace(each, person_name=each.person_name or names.get(each.person, ""))
        for document, each in facts.items()
    }


def show_document(document: Document, facts: DocumentFacts) -> dict[str, Any]:
    """Return the document as answers name it."""
    return {"type": document.type, "id": document.id, "number": facts.number, "link": facts.link}


def user_names(session: Session, user_ids: Iterable[int | None]) -> dict[int | None, str]:
    """Return the names of users by key."""
    return _by_key(session, UserAccount.id, {key for key in user_ids if key is not None}, UserAccount.name)


def documents_found(
    session: Session, type_: Any, key: Any, *, person: int | None = None, number: str | None = None
) -> tuple[ColumnElement[bool], bool]:
    """Return the condition that a row's document is one of a person, or has a number, and whether few are.

    Args:
        type_, key: The columns of the row that name its document.
    """
    found = {
        name: declared.find(person, number)
        for name, declared in runtime_of(session).registry.document_types.items()
        if declared.find is not None
    }
    few = {name: few_of(session, keys) for name, keys in found.items()}
    conditions = [_one_of(type_, key, name, found[name], few[name]) for name in found if few[name] != []]
    return or_(false(), *conditions), None not in few.values()


def few_of(session: Session, keys: Select[Any]) -> list[int] | None:
    """Return the keys that a query finds, ``None`` when they are many."""
    found = list(session.scalars(keys.limit(FEW + 1)))
    return None if len(found) > FEW else found


def _one_of(type_: Any, key: Any, name: str, keys: Select[int], few: Sequence[int] | None) -> ColumnElement[bool]:
    if few is not None:
        return and_(type_ == name, among(key, few))
    # A look at each row's document, not at all documents.
    (found,) = keys.selected_columns
    return and_(type_ == name, keys.where(found == key).scalar_subquery().is_not(None))


class Goods(NamedTuple):
    """A variant as answers name it; ``id`` is ``None`` for the only one of a simple product."""

    id: int | None
    name: str
    product_name: str


@dataclass(frozen=True, slots=True)
class Names:
    """The names of what rows name by key: locations by key, variants, and batch number and expiry date of lots."""

    places: Mapping[int | None, str]
    goods: Mapping[int, Goods]
    lots: Mapping[int, tuple[str | None, Any]]

    def of(self, row: Any) -> dict[str, Any]:
        """Return what answers say of a row's product, variant and lot."""
        goods, (batch_number, expiry_date) = self.goods[row.variant_id], self.lots.get(row.lot_id, (None, None))
        return {
            "product_name": goods.product_name,
            "variant_id": goods.id,
            "variant_details": None if goods.id is None else goods.name,
            "lot_id": row.lot_id or None,
            "batch_number": batch_number,
            "expiry_date": expiry_date,
        }


def names_of(session: Session, rows: Sequence[Any], places: Iterable[int | None]) -> Names:
    """Return the names of the rows' variants and lots, and of locations."""
    variants = {row.variant_id for row in rows}
    goods = session.execute(
        select(Variant.id, Variant.is_default, Variant.name, Product.name)
        .join(Product, Product.id == Variant.product_id)
        .where(among(Variant.id, variants))
    )
    lots = {row.lot_id for row in rows} - {0}
    of_lots = session.execute(select(Lot.id, Lot.batch_number, Lot.expiry_date).where(among(Lot.id, lots)))
    return Names(
        _by_key(session, Location.id, {place for place in places if place is not None}, Location.name),
        {key: Goods(None if is_default else key, name, product) for key, is_default, name, product in goods},
        {key: (batch_number, expiry_date) for key, batch_number, expiry_date in of_lots},
    )


def _by_key(session: Session, key: Any, keys: Collection[int], column: Any) -> dict[int | None, str]:
    if not keys:
        return {}
    return dict(session.execute(select(key, column).where(among(key, keys))).all())
