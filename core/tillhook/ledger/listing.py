"""Stock documents, to be found and read again. Takes no lock.

What many documents have in common says little: such a list is walked in the order of time, which an index has, of each
warehouse for itself. What few have in common is looked up, and then put in order.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, and_, false, or_, select, true, type_coerce, union_all
from sqlalchemy.orm import Session

from tillhook.access import require_warehouse, sees_warehouse, visible_warehouses
from tillhook.db import among, containing, grouped
from tillhook.errors import NotFound
from tillhook.hooks import DocumentFacts
from tillhook.http import narrowed, page
from tillhook.ledger.about import few_of, names_of, user_names
from tillhook.ledger.documents import link_of
from tillhook.ledger.models import KINDS, Lot, StockCountLine, StockDocument, StockMovement
from tillhook.ledger.schemas import DocumentLineOut, StockDocumentOut
from tillhook.products.models import Variant
from tillhook.runtime import actor_of

#: Lines of each document that a list shows.
_LINES = 100
#: Warehouses whose documents are read one after the other.
_MOST_APART = 50


def list_documents(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the documents of the warehouses that the actor sees, by default what happened last first."""
    statement = narrowed(select(StockDocument), query, _FILTERS)
    begun = False
    for condition, keys in _asked(session, query):
        few = None if begun else few_of(session, keys)
        statement = statement.where(condition if few is None else among(StockDocument.id, few))
        begun = begun or few is not None
    apart = _places(session, query)
    if begun or len(apart) > _MOST_APART:
        statement, apart = statement.where(or_(*apart)), []
    ordering = {
        "id": StockDocument.id,
        "recorded_at": StockDocument.id,
        "occurred_at": StockDocument.occurred_at,
    }
    rows, cursor = page(session, statement, ordering=ordering, query=query, apart=apart)
    return show_documents(session, rows, lines=_LINES), cursor


def get_document(session: Session, document_id: int) -> StockDocument:
    """Return a document.

    Raises:
        NotFound: 404 ``unknown-document``: there is none, or it is of other warehouses than the actor's.
    """
    document = session.get(StockDocument, document_id)
    if document is None or not any(
        place is not None and sees_warehouse(session, place)
        for place in (document.warehouse_id, document.to_warehouse_id)
    ):
        raise NotFound("There is no such stock document.", code="unknown-document")
    return document


def show_documents(
    session: Session, documents: Sequence[StockDocument], lines: int | None = None
) -> list[dict[str, Any]]:
    """Return the answers of documents.

    Args:
        lines: So many of each one's lines at most; ``None`` for all.
    """
    persons = user_names(session, {each.actor_id for each in documents})
    rows = _lines(session, documents, lines)
    places = {place for each in documents for place in (each.warehouse_id, each.to_warehouse_id)}
    names = names_of(session, [row for of_document in rows.values() for row in of_document], places)
    shows_cost = actor_of(session).can("catalogue:cost:read")
    return [
        StockDocumentOut.of(
            each,
            link=link_of(each.id),
            person_name=persons.get(each.actor_id, ""),
            warehouse_name=names.places[each.warehouse_id],
            to_warehouse_name=names.places.get(each.to_warehouse_id, ""),
            lines=[
                DocumentLineOut.of(
                    row,
                    **names.of(row),
                    **(_counted(row) if isinstance(row, StockCountLine) else _moved(row, each)),
                    **({"unit_cost": getattr(row, "unit_cost", None)} if shows_cost else {}),
                )
                for row in rows.get(each.id, ())
            ],
        )
        for each in documents
    ]


def facts_of_kind(kind: str, session: Session, document_ids: Sequence[int]) -> dict[int, DocumentFacts]:
    """Return what is known of stock documents of a kind, by their keys."""
    rows = session.scalars(select(StockDocument).where(among(StockDocument.id, document_ids)))
    return {
        row.id: DocumentFacts(number=row.number, link=link_of(row.id), person=row.actor_id, reason=row.reason)
        for row in rows
        if row.kind == kind
    }


def find_of_kind(kind: str, person: int | None, number: str | None) -> Select[int]:
    """Return the query for the keys of the stock documents of a person, or of a number."""
    is_found = StockDocument.number == number if person is None else StockDocument.actor_id == person
    return select(StockDocument.id).where(StockDocument.kind == kind, is_found)


_FILTERS = {
    "reason": lambda text: containing(text, StockDocument.reason),
    "search": lambda text: containing(text, StockDocument.number, StockDocument.reason),
    "number": StockDocument.number,
    "date_from": StockDocument.occurred_at.__ge__,
    "date_to": StockDocument.occurred_at.__lt__,
}


def _asked(session: Session, query: Mapping[str, Any]) -> Iterator[tuple[ColumnElement[bool], Select[int]]]:
    """Yield the filters of which few documents may be: each as a condition, and as the query for their keys."""
    for name, column in (("kind", StockDocument.kind), ("person", StockDocument.actor_id)):
        if name in query:
            yield column == query[name], select(StockDocument.id).where(column == query[name])
    if "product" in query:
        variants = session.scalars(select(Variant.id).where(Variant.product_id == query["product"])).all()
        yield _with_goods(lambda row: among(row.variant_id, variants))
    if "batch" in query:
        lots = session.execute(select(Lot.id, Lot.variant_id).where(Lot.batch_number == query["batch"])).all()
        variants, keys = [lot.variant_id for lot in lots], [lot.id for lot in lots]
        yield _with_goods(lambda row: and_(among(row.variant_id, variants), among(row.lot_id, keys)))


def _with_goods(is_of: Any) -> tuple[ColumnElement[bool], Select[int]]:
    """Return the condition on documents with certain goods, and the query for their keys."""
    # The index of what no channel moved; not that of the kinds.
    kind = type_coerce(StockMovement.document_type + "", Text)
    moved = select(StockMovement.document_id).where(
        is_of(StockMovement), StockMovement.channel.is_(None), kind.in_(KINDS)
    )
    counted = select(StockCountLine.document_id).where(is_of(StockCountLine))
    mine = (
        moved.where(StockMovement.document_id == StockDocument.id, StockMovement.document_type == StockDocument.kind),
        counted.where(StockCountLine.document_id == StockDocument.id),
    )
    keys = union_all(moved, counted).subquery()
    return or_(*(each.exists() for each in mine)), select(keys.c.document_id)


def _places(session: Session, query: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """Return conditions of which each document of the warehouses meets one, and an index has the order of each."""
    visible = visible_warehouses(session)
    if "warehouse" in query:
        require_warehouse(session, query["warehouse"])
        return _either([query["warehouse"]])
    if visible is None:
        return [true()]
    return _either(sorted(visible)) or [false()]


def _either(places: Sequence[int]) -> list[ColumnElement[bool]]:
    """Return a condition for what leaves, or stays at, each of the places, and one for what comes from elsewhere."""
    source, destination = StockDocument.warehouse_id, StockDocument.to_warehouse_id
    here: list[ColumnElement[bool]] = [source == place for place in places]
    return here + [and_(destination == place, source.not_in(places)) for place in places]


def _lines(
    session: Session, documents: Sequence[StockDocument], most: int | None
) -> dict[int, list[StockMovement | StockCountLine]]:
    """Return the rows of the documents' lines, by document: of counts the lines, of others what they moved."""
    found: dict[int, list[StockMovement | StockCountLine]] = {}
    for kind in sorted({each.kind for each in documents}):
        keys = [each.id for each in documents if each.kind == kind]
        rows: Any
        if kind == "count":
            line, rows = StockCountLine.line_number, select(StockCountLine.document_id, StockCountLine)
            rows = rows.where(among(StockCountLine.document_id, keys)).order_by(StockCountLine.id)
        else:
            line, rows = StockMovement.document_line, select(StockMovement.document_id, StockMovement)
            rows = rows.where(StockMovement.document_type == kind, among(StockMovement.document_id, keys))
            rows = rows.order_by(StockMovement.document_line, StockMovement.id)
        found |= grouped(session.execute(rows if most is None else rows.where(line < most)))
    return found


def _counted(row: StockCountLine) -> dict[str, Any]:
    return {
        "line": row.line_number,
        "quantity": row.counted,
        "expected": row.expected,
        "counted": row.counted,
        "difference": row.counted - row.expected,
    }


def _moved(row: StockMovement, document: StockDocument) -> dict[str, Any]:
    is_out = document.kind == "adjustment" and row.source_id == document.warehouse_id
    quantity: Decimal = -row.quantity if is_out else row.quantity
    return {"line": row.document_line, "quantity": quantity, "expected": None, "counted": None, "difference": None}
