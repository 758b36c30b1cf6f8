"""The X report of an open session and the Z report of a closed one: what its documents add up to.

Figures are sums in the database over the keys of the documents, so that all parts of a report are of the same ones.
Amounts have the sign of the journal: what was paid back is negative.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, and_, func, literal, or_, select
from sqlalchemy.orm import Session

from tillhook.access import UserAccount
from tillhook.db import among, format_instant
from tillhook.products import Category, Product
from tillhook.quantities import ZERO, format_money, format_quantity, multiply, round_half_up
from tillhook.runtime import snapshot_of
from tillhook.sales import (
    GROSS,
    NO_DEVICE,
    Sale,
    SaleException,
    SaleLine,
    TaxSum,
    TenderSum,
    sums_by_tax,
    sums_by_tender,
)
from tillhook_pos.documents import CHANNEL, PERSONAL
from tillhook_pos.models import CashMovement, ParkedSale, Till, TillSession
from tillhook_pos.sessions.drawers import Document

#: What the kinds of documents are called in a report.
KINDS = {"sale": "sales", "return": "returns", "exchange": "exchanges", "cancellation": "cancellations"}

#: Late documents named in a report; a shop that did without sessions for a year has more.
MOST_NUMBERS = 1_000


def expected_cash(session: Session, row: TillSession, documents: Iterable[Document]) -> Decimal:
    """Return what must be in the drawer: float, cash in less cash out, and what its own documents brought in cash."""
    own, _, _ = _split(session, documents)
    return row.opening_float + _balance(_movements(session, row.id)) + _cash(session, sums_by_tender(session, own))


def cash_methods(session: Session) -> frozenset[str]:
    """Return the payment methods that are money in the drawer: cash, and whatever else counts as it."""
    methods = snapshot_of(session).payment_methods.values()
    return frozenset({"cash", *(method.name for method in methods if method.counts_as_cash)})


def build(
    session: Session,
    till: Till,
    row: TillSession,
    documents: Sequence[Document],
    *,
    closing: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the report on the documents.

    Args:
        closing: ``number``, ``at``, ``by``, ``counted`` (money), ``counts`` (pieces by denomination), ``is_blind`` and
            ``notes`` of a session that is being closed; ``None`` for an X report.
    """
    snapshot = snapshot_of(session)
    places: int = snapshot.setting("currency_places")
    own, late, foreign = _split(session, documents)
    figures = _figures(session, own)
    movements = _movements(session, row.id)
    expected = row.opening_float + _balance(movements) + _cash(session, figures.tenders)
    names = _names(session, row.opened_by, closing["by"] if closing else None)
    counted: Decimal | None = closing["counted"] if closing else None
    return {
        "kind": "Z" if closing else "X",
        "number": closing["number"] if closing else None,
        "session": row.id,
        "till": till.name,
        "warehouse": row.warehouse_id,
        "warehouse_name": snapshot.warehouses[row.warehouse_id].name,
        "firm": {name: snapshot.setting(f"company.{name}") for name in ("name", "address", "tax_id")},
        "currency": snapshot.setting("currency"),
        "currency_places": places,
        "timezone": snapshot.setting("timezone"),
        "opened_by": row.opened_by,
        "opened_by_name": names.get(row.opened_by, ""),
        "opened_at": format_instant(row.opened_at),
        "closed_by": closing["by"] if closing else None,
        "closed_by_name": names.get(closing["by"], "") if closing else None,
        "closed_at": format_instant(closing["at"]) if closing else None,
        "notes": closing["notes"] if closing else row.notes,
        "opening_float": format_money(row.opening_float, places),
        "cash_in": _show_movements(movements, "in", places),
        "cash_out": _show_movements(movements, "out", places),
        **figures.documents(places),
        "first_sale_number": figures.first_number,
        "last_sale_number": figures.last_number,
        "tenders": [_show_tender(session, each, places) for each in figures.tenders],
        "taxes": [_show_tax(each, places) for each in figures.taxes],
        "categories": [_show_category(each, places) for each in _categories(session, own)],
        "sellers": [_show_seller(each, places) for each in _sellers(session, own)],
        "discounts": _show_discounts(_line_discounts(session, own, places), figures.sum("discount"), places),
        "cash_rounding": format_money(figures.sum("rounding"), places),
        "expected_cash": format_money(expected, places),
        "counted_cash": None if counted is None else format_money(counted, places),
        "over_short": None if counted is None else format_money(counted - expected, places),
        "counts": _show_counts(closing["counts"], places) if closing else None,
        "is_blind": closing["is_blind"] if closing else False,
        "parked_sales": _parked(session, till, row),
        "refused_sales": _refused(session, till, row),
        "late": _show_apart(session, late, places),
        "other_currencies": [
            {"currency": currency, **_show_apart(session, keys, places)} for currency, keys in sorted(foreign.items())
        ],
    }


def veil(report: dict[str, Any]) -> dict[str, Any]:
    """Return the report without whatever tells how much must be in the drawer; numbers of documents remain."""
    return {
        **report,
        **{name: report[name] | {"total": None} for name in KINDS.values()},
        "is_blind": True,
        "net_total": None,
        "tax_total": None,
        "tenders": [
            each | dict.fromkeys(("amount_in", "change", "refunded", "net"), None) for each in report["tenders"]
        ],
        "taxes": [],
        "categories": [],
        "sellers": [each | {"total": None} for each in report["sellers"]],
        "discounts": dict.fromkeys(report["discounts"]),
        "cash_rounding": None,
        "expected_cash": None,
        "late": {"count": report["late"]["count"], "numbers": report["late"]["numbers"]},
        "other_currencies": [],
    }


@dataclass(frozen=True)
class _Figures:
    """The sums of some documents: by kind, by tender and by tax; and their first and last number."""

    kinds: Mapping[str, Any]
    tenders: list[TenderSum]
    taxes: list[TaxSum]
    first_number: str | None
    last_number: str | None

    def sum(self, name: str) -> Decimal:
        return sum((getattr(row, name) for row in self.kinds.values()), ZERO)

    def documents(self, places: int) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for kind, name in KINDS.items():
            row = self.kinds.get(kind)
            shown[name] = {"count": row.number if row else 0, "total": format_money(row.total if row else ZERO, places)}
        shown["net_total"] = format_money(self.sum("total"), places)
        shown["tax_total"] = format_money(self.sum("tax"), places)
        return shown


def _figures(session: Session, keys: Sequence[int]) -> _Figures:
    statement = select(
        Sale.kind,
        func.count().label("number"),
        func.sum(Sale.total_amount).label("total"),
        func.sum(Sale.tax_amount).label("tax"),
        func.sum(Sale.discount_amount).label("discount"),
        func.sum(Sale.cash_rounding).label("rounding"),
    )
    kinds = {row.kind: row for row in session.execute(statement.where(among(Sale.id, keys)).group_by(Sale.kind))}
    numbers = _numbers(session, [min(keys), max(keys)]) if keys else [None]
    return _Figures(kinds, sums_by_tender(session, keys), sums_by_tax(session, keys), numbers[0], numbers[-1])


def _numbers(session: Session, keys: Collection[int]) -> Sequence[str | None]:
    return session.scalars(select(Sale.sale_number).where(among(Sale.id, keys)).order_by(Sale.id)).all()


def _split(session: Session, documents: Iterable[Document]) -> tuple[list[int], list[int], dict[str, list[int]]]:
    """Return the keys of the session's own documents, of late ones, and of those of other currencies."""
    currency = snapshot_of(session).setting("currency")
    own: list[int] = []
    late: list[int] = []
    foreign: dict[str, list[int]] = {}
    for document in documents:
        if document.currency != currency:
            foreign.setdefault(document.currency, []).append(document.sale_id)
        else:
            (late if document.is_late else own).append(document.sale_id)
    return own, late, foreign


def _cash(session: Session, tenders: Iterable[TenderSum]) -> Decimal:
    """Return what the tenders brought into the drawer; change is given out of it, whatever it is given for."""
    methods = cash_methods(session)
    return sum((tender.net if tender.method in methods else -tender.change for tender in tenders), ZERO)


def _categories(session: Session, keys: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return lines by category; a product may have none, and names are those of now: the report keeps them."""
    statement = (
        select(
            Category.id,
            Category.name,
            func.sum(SaleLine.quantity).label("quantity"),
            func.sum(SaleLine.tax_amount).label("tax"),
            func.sum(GROSS).label("gross"),
        )
        .select_from(SaleLine)
        .outerjoin(Product, Product.id == SaleLine.product_id)
        .outerjoin(Category, Category.id == Product.category_id)
        .where(among(SaleLine.sale_id, keys))
        .group_by(Category.id, Category.name)
        .order_by(Category.name.is_(None), Category.name, Category.id)
    )
    return session.execute(statement).all()


def _sellers(session: Session, keys: Sequence[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return documents by seller; several people may work at one till."""
    statement = (
        select(
            Sale.seller_id,
            func.max(Sale.seller_name).label("name"),
            func.count().label("number"),
            func.sum(Sale.total_amount).label("total"),
        )
        .where(among(Sale.id, keys))
        .group_by(Sale.seller_id)
        .order_by(Sale.seller_id)
    )
    return session.execute(statement).all()


def _line_discounts(session: Session, keys: Sequence[int], places: int) -> Decimal:
    statement = (
        select(SaleLine.quantity, SaleLine.discount_per_item, func.count())
        .where(among(SaleLine.sale_id, keys), SaleLine.discount_per_item != 0)
        .group_by(SaleLine.quantity, SaleLine.discount_per_item)
    )
    total = ZERO
    for quantity, discount, count in session.execute(statement):
        total += round_half_up(multiply(quantity, discount), places) * count
    return total


def _movements(session: Session, session_id: int) -> Sequence[Row[*tuple[Any, ...]]]:
    statement = (
        select(CashMovement, UserAccount.name)
        .outerjoin(UserAccount, UserAccount.id == CashMovement.created_by)
        .where(CashMovement.session_id == session_id)
        .order_by(CashMovement.id)
    )
    return session.execute(statement).all()


def _balance(movements: Iterable[Row[*tuple[Any, ...]]]) -> Decimal:
    return sum((each.amount * (1 if each.direction == "in" else -1) for each, _ in movements), ZERO)


def _names(session: Session, *user_ids: int | None) -> dict[int | None, str]:
    keys = [key for key in user_ids if key is not None]
    statement = select(UserAccount.id, UserAccount.name).where(among(UserAccount.id, keys))
    return dict(session.execute(statement).all())


def _parked(session: Session, till: Till, row: TillSession) -> int:
    drawers = (till.name, f"{PERSONAL}{row.opened_by}")
    statement = select(func.count()).where(
        ParkedSale.status == "parked", ParkedSale.warehouse_id == row.warehouse_id, ParkedSale.till.in_(drawers)
    )
    return session.scalar(statement) or 0


def _refused(session: Session, till: Till, row: TillSession) -> int:
    refused = SaleException
    is_person_s = and_(
        literal(till.name.startswith(PERSONAL)),
        refused.source_device == NO_DEVICE,
        refused.seller_id == row.opened_by,
    )
    statement = select(func.count()).where(
        refused.status.in_(("open", "waiting")),
        # What could not even be read has no channel.
        refused.channel.in_((CHANNEL, "")),
        or_(refused.warehouse_id == row.warehouse_id, refused.warehouse_id.is_(None)),
        or_(refused.source_device == till.name, is_person_s),
    )
    return session.scalar(statement) or 0


def _show_movements(movements: Iterable[Row[*tuple[Any, ...]]], direction: str, places: int) -> dict[str, Any]:
    rows = [(each, name) for each, name in movements if each.direction == direction]
    return {
        "total": format_money(sum((each.amount for each, _ in rows), ZERO), places),
        "movements": [
            {
                "amount": format_money(each.amount, places),
                "reason": each.reason,
                "by": each.created_by,
                "by_name": name or "",
                "at": format_instant(each.created_at),
            }
            for each, name in rows
        ],
    }


def _show_tender(session: Session, tender: TenderSum, places: int) -> dict[str, Any]:
    method = snapshot_of(session).payment_methods.get(tender.method)
    return {
        "method": tender.method,
        # A method of a module that is off now has its name only.
        "title": method.title if method else tender.method,
        "is_cash": tender.method in cash_methods(session),
        "count": tender.number,
        "amount_in": format_money(tender.amount_in, places),
        "change": format_money(tender.change, places),
        "refunded": format_money(tender.refunded, places),
        "net": format_money(tender.net, places),
    }


def _show_tax(row: TaxSum, places: int) -> dict[str, Any]:
    return {"rate": format_quantity(row.rate), **_show_taxed(row, places)}


def _show_category(row: Any, places: int) -> dict[str, Any]:
    named = {"category": row.id, "name": row.name, "quantity": format_quantity(row.quantity)}
    return {**named, **_show_taxed(row, places)}


def _show_seller(row: Any, places: int) -> dict[str, Any]:
    total = format_money(row.total, places)
    return {"seller": row.seller_id, "name": row.name, "count": row.number, "total": total}


def _show_taxed(row: Any, places: int) -> dict[str, str]:
    amounts = {"net": row.gross - row.tax, "tax": row.tax, "gross": row.gross}
    return {name: format_money(amount, places) for name, amount in amounts.items()}


def _show_discounts(lines: Decimal, orders: Decimal, places: int) -> dict[str, str]:
    amounts = {"lines": lines, "orders": orders, "total": lines + orders}
    return {name: format_money(amount, places) for name, amount in amounts.items()}


def _show_counts(counts: Mapping[Decimal, int] | None, places: int) -> list[dict[str, Any]] | None:
    if counts is None:
        return None
    return [
        {
            "denomination": format_money(denomination, places),
            "pieces": pieces,
            "amount": format_money(multiply(denomination, Decimal(pieces)), places),
        }
        for denomination, pieces in sorted(counts.items(), reverse=True)
    ]


def _show_apart(session: Session, keys: Sequence[int], places: int) -> dict[str, Any]:
    """Return the figures of documents that are not the session's own, the first ``MOST_NUMBERS`` by their numbers."""
    figures = _figures(session, keys)
    return {
        "count": len(keys),
        "total": format_money(figures.sum("total"), places),
        "cash": format_money(_cash(session, figures.tenders), places),
        "cash_rounding": format_money(figures.sum("rounding"), places),
        "tenders": [_show_tender(session, each, places) for each in figures.tenders],
        "taxes": [_show_tax(each, places) for each in figures.taxes],
        "numbers": _numbers(session, sorted(keys)[:MOST_NUMBERS]),
    }
