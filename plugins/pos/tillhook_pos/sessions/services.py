"""Opening a till, cash in and out of it, counting and closing it.

Locks: the till's row when a session is opened; the session's row when it takes cash or closes, then its documents in
key order, then the till's number series.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, insert, literal, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import UserAccount, audit, default_warehouse, in_warehouse, require_warehouse, warehouse_condition
from tillhook.db import RetryTransaction, containing, format_instant, utc_now
from tillhook.errors import Conflict, NotFound, PermissionDenied, ValidationFailed
from tillhook.http import narrowed, page
from tillhook.numbering import next_number
from tillhook.quantities import MAX, ZERO, format_money, multiply, round_half_up
from tillhook.reference import Calendar
from tillhook.runtime import actor_of, snapshot_of
from tillhook.sales import NO_DEVICE
from tillhook_pos import permissions
from tillhook_pos.documents import PERSONAL
from tillhook_pos.models import CashMovement, Till, TillSession
from tillhook_pos.sessions import report
from tillhook_pos.sessions.drawers import claim, leave_outside, personal_till, unclaimed


def open_session(
    session: Session, *, till: str | None, warehouse: int | None, opening_float: Decimal, notes: str
) -> dict[str, Any]:
    """Open a till with a float; a till that is not known yet is made.

    Args:
        till: By default the device's that asks, else the person's own.
        warehouse: By default the till's, else the person's only one.

    Raises:
        Conflict: 409 ``pos-session-open``, with the key of the session that is open.
        PermissionDenied: 403 ``foreign-device`` or ``foreign-warehouse``.
        ValidationFailed: 422: a till of another warehouse or a closed one, a name that is somebody else's.
    """
    _check_places(session, "opening_float", opening_float)
    found = _locked_till(session, _till_name(session, till), warehouse)
    already = session.execute(
        select(TillSession.id, TillSession.opened_at).where(
            TillSession.till_id == found.id, TillSession.closed_at.is_(None)
        )
    ).first()
    if already is not None:
        raise Conflict(
            f"The till {found.name} has an open session, {already.id}; close it first.",
            code="pos-session-open",
            session=already.id,
            opened_at=format_instant(already.opened_at),
        )
    row = TillSession(
        till_id=found.id,
        warehouse_id=found.warehouse_id,
        opened_by=actor_of(session).user_id,
        opened_at=utc_now(),
        opening_float=opening_float,
        notes=notes,
    )
    leave_outside(session, found, row)
    session.add(row)
    session.flush()
    audit(session, "open", "till_session", row.id, after={"till": found.name, "opening_float": opening_float})
    return _show(session, row)


def get_session(session: Session, session_id: int) -> dict[str, Any]:
    """Return one session.

    Raises:
        NotFound: 404: there is none, or the actor may not see it.
    """
    return _show(session, _visible(session, session_id)[0])


def list_sessions(session: Session, query: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """Return the sessions that the actor may see, newest first unless ordered otherwise."""
    calendar, closed = Calendar.of(snapshot_of(session)), TillSession.closed_at.is_not(None)
    filters = {
        "warehouse": in_warehouse(session, TillSession.warehouse_id),
        "till": Till.name,
        "search": lambda text: containing(text, Till.name),
        "status": lambda status: closed if status == "closed" else ~closed,
        "date_from": lambda day: TillSession.opened_at >= calendar.start(day),
        "date_to": lambda day: TillSession.opened_at < calendar.end(day),
    }
    statement = narrowed(_visible_sessions(session), query, filters)
    ordering = {"id": TillSession.id, "opened_at": TillSession.opened_at, "closed_at": TillSession.closed_at}
    rows, cursor = page(session, statement, ordering=ordering, query=query)
    tills = _by_id(session, Till, {row.till_id for row in rows})
    names = _by_id(session, UserAccount, {key for row in rows for key in (row.opened_by, row.closed_by)})
    return [_shown(session, row, tills, names) for row in rows], cursor


def move_cash(session: Session, session_id: int, *, direction: str, amount: Decimal, reason: str) -> dict[str, Any]:
    """Put cash into an open drawer, or take it out.

    Raises:
        NotFound: 404. Conflict: 409 ``pos-session-closed``.
        ValidationFailed: 422 ``pos-cash-short``: more than there must be in the drawer. Somebody who is not to know how
            much that is could find it by asking, and is not refused.
    """
    _check_places(session, "amount", amount)
    row, till = _locked(session, session_id)
    if direction == "out" and not _is_blind(session):
        expected = report.expected_cash(session, row, unclaimed(session, till, row))
        if amount > expected:
            places = snapshot_of(session).setting("currency_places")
            raise ValidationFailed.at(
                "amount", f"There must be {format_money(expected, places)} in the drawer.", code="pos-cash-short"
            )
    movement = CashMovement(
        session_id=row.id, direction=direction, amount=amount, reason=reason, created_by=actor_of(session).user_id
    )
    session.add(movement)
    session.flush()
    audit(
        session, "move", "till_cash", movement.id, after={"session": row.id, "direction": direction, "amount": amount}
    )
    return {
        "id": movement.id,
        "session": row.id,
        "direction": direction,
        "amount": _money(session, amount),
        "reason": reason,
        "created_by": movement.created_by,
        "created_at": format_instant(movement.created_at),
    }


def close_session(
    session: Session,
    session_id: int,
    *,
    counted_cash: Decimal | None,
    counts: Mapping[Decimal, int] | None,
    blind: bool | None,
    notes: str,
) -> dict[str, Any]:
    """Count and close a drawer: claim its documents, take the next Z number, freeze the report.

    Raises:
        NotFound: 404. PermissionDenied: 403: somebody else opened it. Conflict: 409 ``pos-session-closed``.
        ValidationFailed: 422: nothing was counted, or sum and denominations differ.
    """
    counted = _counted(session, counted_cash, counts)
    row, till = _locked(session, session_id)
    actor = actor_of(session)
    if row.opened_by != actor.user_id:
        actor.require(permissions.SESSION_CLOSE_ANY)
    documents = unclaimed(session, till, row, lock=True)
    claim(session, row.id, documents)
    now = utc_now()
    number = next_number(session, f"pos-z:{till.id}")
    closing = {
        "number": number,
        "at": now,
        "by": actor.user_id,
        "counted": counted,
        "counts": counts,
        "is_blind": _is_blind(session) or (snapshot_of(session).setting("pos.blind_count") if blind is None else blind),
        "notes": "\n".join(filter(None, (row.notes, notes))),
    }
    made = report.build(session, till, row, documents, closing=closing)
    expected = Decimal(made["expected_cash"])
    session.execute(
        update(TillSession)
        .where(TillSession.id == row.id)
        .values(
            closed_by=actor.user_id,
            closed_at=now,
            # Sums may be larger than any one amount.
            expected_cash=_units(expected),
            counted_cash=_units(counted),
            over_short=_units(counted - expected),
            counts=None if counts is None else {_money(session, each): pieces for each, pieces in counts.items()},
            z_number=number,
            z_report=made,
            notes=closing["notes"],
        )
    )
    session.refresh(row)
    audit(
        session,
        "close",
        "till_session",
        row.id,
        after={name: made[name] for name in ("till", "number", "expected_cash", "counted_cash", "over_short")},
    )
    return _show(session, row)


def get_report(session: Session, session_id: int) -> dict[str, Any]:
    """Return the Z report as it was at closing, or the X report of now; of that, to whom it may be shown.

    Raises:
        NotFound: 404.
    """
    row, till = _visible(session, session_id)
    if row.z_report is not None:
        return row.z_report
    made = report.build(session, till, row, unclaimed(session, till, row))
    return report.veil(made) if _is_blind(session) else made


def _till_name(session: Session, asked: str | None) -> str:
    """Return the till that the actor means and may open."""
    actor = actor_of(session)
    personal = personal_till(actor.user_id)
    if actor.device is not None:
        if asked not in (None, actor.device):
            message = f"This key is of the device {actor.device}."
            raise PermissionDenied(
                f"till: {message}", code="foreign-device", errors=[{"field": "till", "message": message}]
            )
        return actor.device
    if asked is None:
        return personal
    if asked == NO_DEVICE or (asked.startswith(PERSONAL) and asked != personal):
        raise ValidationFailed.at("till", "Not a name that a till may have.", code="pos-reserved-name")
    return asked


def _locked_till(session: Session, name: str, warehouse: int | None) -> Till:
    """Return the till, made when it is new, its row locked so that one session is opened at a time.

    A named till stays where it is; a person's own drawer is where the person works today.
    """
    statement = select(Till).where(Till.name == name).with_for_update()
    till = session.scalar(statement)
    if till is None:
        place = default_warehouse(session) if warehouse is None else warehouse
        _require_active(session, place, "warehouse")
        _make_till(session, name, place)
        till = session.scalars(statement).one()
    elif name.startswith(PERSONAL):
        place = till.warehouse_id if warehouse is None else warehouse
        _require_active(session, place, "warehouse")
        till.warehouse_id = place
        session.flush()
    if warehouse is not None:
        _require_active(session, warehouse, "warehouse")
    if warehouse not in (None, till.warehouse_id):
        raise ValidationFailed.at("till", "A till of this name is in another warehouse.", code="pos-till-elsewhere")
    _require_active(session, till.warehouse_id, "till")
    # What a till that is out of use has still to report, somebody who manages tills brings onto a Z report.
    if not till.is_active and not actor_of(session).can(permissions.TILL_MANAGE):
        raise ValidationFailed.at("till", "This till is out of use.", code="pos-till-inactive")
    return till


def _make_till(session: Session, name: str, warehouse: int) -> None:
    try:
        with session.begin_nested():
            key = session.execute(
                insert(Till).values(name=name, warehouse_id=warehouse).returning(Till.id)
            ).scalar_one()
    except IntegrityError:
        # Somebody made it meanwhile; the next run finds it.
        raise RetryTransaction from None
    audit(session, "create", "till", key, after={"name": name, "warehouse": warehouse})


def _require_active(session: Session, warehouse: int, field: str) -> None:
    require_warehouse(session, warehouse, field)
    if not snapshot_of(session).warehouses[warehouse].is_active:
        raise ValidationFailed.at(field, "There is no such active warehouse.", code="unknown-warehouse")


def _visible_sessions(session: Session) -> Any:
    actor = actor_of(session)
    statement = (
        select(TillSession)
        .join(Till, Till.id == TillSession.till_id)
        .where(warehouse_condition(session, TillSession.warehouse_id))
    )
    if actor.device is not None:
        return statement.where(Till.name == actor.device)
    if not actor.can(permissions.SESSION_READ_ALL):
        statement = statement.where(TillSession.opened_by == actor.user_id)
    return statement


def _visible(session: Session, session_id: int, *, lock: bool = False) -> tuple[TillSession, Till]:
    statement = _visible_sessions(session).where(TillSession.id == session_id)
    row = session.scalar(statement.with_for_update(of=TillSession) if lock else statement)
    if row is None:
        raise NotFound("There is no such till session.", code="pos-unknown-session")
    return row, session.get_one(Till, row.till_id)


def _locked(session: Session, session_id: int) -> tuple[TillSession, Till]:
    """Return an open session, locked: what is done with it waits until it is closed or the other way round."""
    row, till = _visible(session, session_id, lock=True)
    if row.closed_at is not None:
        raise Conflict("This session is closed.", code="pos-session-closed", z_number=row.z_number)
    return row, till


def _is_blind(session: Session) -> bool:
    """Say whether the actor is not to know what must be in an open drawer."""
    if actor_of(session).can(permissions.SESSION_SEE_EXPECTED):
        return False
    return bool(snapshot_of(session).setting("pos.blind_count"))


def _counted(session: Session, counted_cash: Decimal | None, counts: Mapping[Decimal, int] | None) -> Decimal:
    """Return what was counted, by either way or by both."""
    if not counts and counted_cash is None:
        raise ValidationFailed.at("counted_cash", "Count the drawer: a sum, or pieces by denomination in counts.")
    if counted_cash is not None:
        _check_places(session, "counted_cash", counted_cash)
    if counts is None:
        assert counted_cash is not None
        return counted_cash
    total = ZERO
    for denomination, pieces in counts.items():
        _check_places(session, f"counts.{denomination:f}", denomination)
        total += multiply(denomination, Decimal(pieces))
    if total > MAX:
        raise ValidationFailed.at("counts", "Too large.")
    if counted_cash is not None and total != counted_cash:
        raise ValidationFailed.at(
            "counted_cash", f"The pieces add up to {_money(session, total)}.", code="pos-counts-differ"
        )
    return total


def _check_places(session: Session, field: str, amount: Decimal) -> None:
    places = snapshot_of(session).setting("currency_places")
    if amount != round_half_up(amount, places):
        raise ValidationFailed.at(field, f"At most {places} digits after the point in this currency.")


def _units(amount: Decimal) -> Any:
    return literal(int(amount * 10_000), BigInteger)


def _by_id(session: Session, entity: Any, keys: set[Any]) -> dict[Any, str]:
    found = session.execute(select(entity.id, entity.name).where(entity.id.in_(sorted(keys - {None}))))
    return {row.id: row.name for row in found}


def _show(session: Session, row: TillSession) -> dict[str, Any]:
    tills = _by_id(session, Till, {row.till_id})
    return _shown(session, row, tills, _by_id(session, UserAccount, {row.opened_by, row.closed_by}))


def _shown(session: Session, row: TillSession, tills: Mapping[Any, str], names: Mapping[Any, str]) -> dict[str, Any]:
    is_closed = row.closed_at is not None
    return {
        "id": row.id,
        "till": tills[row.till_id],
        "warehouse": row.warehouse_id,
        "warehouse_name": snapshot_of(session).warehouses[row.warehouse_id].name,
        "status": "closed" if is_closed else "open",
        "opened_by": row.opened_by,
        "opened_by_name": names.get(row.opened_by, ""),
        "opened_at": format_instant(row.opened_at),
        "opening_float": _money(session, row.opening_float),
        "closed_by": row.closed_by,
        "closed_by_name": names.get(row.closed_by, "") if is_closed else None,
        "closed_at": format_instant(row.closed_at) if row.closed_at else None,
        "expected_cash": _money(session, row.expected_cash),
        "counted_cash": _money(session, row.counted_cash),
        "over_short": _money(session, row.over_short),
        "counts": row.counts,
        "z_number": row.z_number,
        "notes": row.notes,
    }


def _money(session: Session, amount: Decimal | None) -> Any:
    return None if amount is None else format_money(amount, snapshot_of(session).setting("currency_places"))
