"""Reading and locking stock levels. Every row lock of the ledger is taken here or in ``posting``.

Lock order, so that no two documents deadlock: first the rows that a document inserts, then stock levels by
(variant, location, lot), then the alerts' lock; each once, late in the transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection

from tillhook.db import begin_writing, format_instant, utc_now
from tillhook.ledger.movements import LevelKey


@dataclass(slots=True)
class Level:
    """On hand and reserved at one key, in units of 1/10,000; ``reserved`` counts what has not expired."""

    on_hand: int = 0
    reserved: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True)
class LotLevel:
    """A lot of a variant that is, or was, at a warehouse."""

    key: LevelKey
    batch_number: str
    expiry_date: date | None
    available: int


def lock_levels(connection: Connection, keys: Iterable[LevelKey]) -> dict[LevelKey, Level]:
    """Lock the levels in key order, release their expired reservations, and return them as they are now.

    A level that does not exist yet is returned as zero. On SQLite the writer's lock is all there is to take.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    begin_writing(connection)
    sweep_expired(connection, wanted)
    levels = {key: Level() for key in wanted}
    if connection.dialect.name == "postgresql":
        # Missing rows are made first, so that there is a row to lock.
        connection.exec_driver_sql(
            "INSERT INTO stock_level (variant_id, location_id, lot_id, on_hand, reserved, updated_at)"
            " SELECT a, b, c, 0, 0, now() FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS k(a, b, c)"
            " ORDER BY a, b, c ON CONFLICT DO NOTHING",
            _columns(wanted),
        )
        rows = connection.exec_driver_sql(
            "SELECT l.variant_id, l.location_id, l.lot_id, l.on_hand, l.reserved FROM stock_level l"
            " JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS k(a, b, c)"
            " ON l.variant_id = k.a AND l.location_id = k.b AND l.lot_id = k.c"
            " ORDER BY l.variant_id, l.location_id, l.lot_id FOR UPDATE OF l",
            _columns(wanted),
        ).all()
    else:
        rows = []
        for key in wanted:
            rows += connection.exec_driver_sql(
                "SELECT variant_id, location_id, lot_id, on_hand, reserved FROM stock_level"
                " WHERE variant_id = ? AND location_id = ? AND lot_id = ?",
                tuple(key),
            ).all()
    for variant_id, location_id, lot_id, on_hand, reserved in rows:
        levels[LevelKey(variant_id, location_id, lot_id)] = Level(on_hand, reserved)
    return levels


def sweep_expired(connection: Connection, keys: Sequence[LevelKey] | None = None) -> int:
    """Release the expired reservations at these levels, or everywhere, and return how many there were."""
    now = _moment(connection, utc_now())
    place = "%s" if connection.dialect.name == "postgresql" else "?"
    condition = f"released_at IS NULL AND expires_at <= {place}"
    parameters: list[Any] = [now]
    if keys is not None:
        variants = sorted({key.variant_id for key in keys})
        condition += f" AND variant_id IN ({','.join([place] * len(variants))})"
        parameters += variants
    expired = connection.exec_driver_sql(
        "SELECT id, variant_id, location_id, lot_id FROM reservation WHERE "
        + condition
        + " ORDER BY variant_id, location_id, lot_id, id",
        tuple(parameters),
    ).all()
    if not expired:
        return 0
    return release_rows(connection, [row[0] for row in expired], "expired", expired_only=True)


def release_rows(
    connection: Connection, reservation_ids: Sequence[int], outcome: str, *, expired_only: bool = False
) -> int:
    """Mark open reservations as released and take them off their levels, in key order; return how many.

    ``expired_only`` looks once more under the lock, and spares what was extended meanwhile.
    """
    if not reservation_ids:
        return 0
    postgresql = connection.dialect.name == "postgresql"
    place = "%s" if postgresql else "?"
    now = _moment(connection, utc_now())
    marks = ",".join([place] * len(reservation_ids))
    # Levels are locked before reservations are marked, so that two sweeps never wait for each other in a circle.
    if postgresql:
        connection.exec_driver_sql(
            "SELECT 1 FROM stock_level l WHERE EXISTS (SELECT 1 FROM reservation r WHERE r.variant_id = l.variant_id"
            f" AND r.location_id = l.location_id AND r.lot_id = l.lot_id AND r.id IN ({marks}))"
            " ORDER BY variant_id, location_id, lot_id FOR UPDATE",
            tuple(reservation_ids),
        )
    released = connection.exec_driver_sql(
        f"UPDATE reservation SET released_at = {place}, outcome = {place}"
        f" WHERE id IN ({marks}) AND released_at IS NULL{f' AND expires_at <= {place}' if expired_only else ''}"
        " RETURNING variant_id, location_id, lot_id, quantity",
        (now, outcome, *reservation_ids, *([now] if expired_only else ())),
    ).all()
    totals: dict[LevelKey, int] = {}
    for variant_id, location_id, lot_id, quantity in released:
        key = LevelKey(variant_id, location_id, lot_id)
        totals[key] = totals.get(key, 0) + quantity
    for key in sorted(totals):
        connection.exec_driver_sql(
            f"UPDATE stock_level SET reserved = reserved - {place}, updated_at = {place}"
            f" WHERE variant_id = {place} AND location_id = {place} AND lot_id = {place}",
            (totals[key], now, *key),
        )
    return len(released)


def lot_levels(connection: Connection, variant_ids: Iterable[int], warehouse_id: int) -> dict[int, list[LotLevel]]:
    """Return every lot of the variants with its availability, first expired first, by variant.

    Lots without an expiry date come last. ``available`` does not count expired reservations.
    """
    keys = sorted(set(variant_ids))
    if not keys:
        return {}
    place = "%s" if connection.dialect.name == "postgresql" else "?"
    rows = connection.exec_driver_sql(
        "SELECT t.variant_id, t.id, t.batch_number, t.expiry_date, COALESCE(l.on_hand, 0) - COALESCE((SELECT"
        " SUM(r.quantity) FROM reservation r WHERE r.variant_id = t.variant_id AND r.location_id = l.location_id"
        f" AND r.lot_id = t.id AND r.released_at IS NULL AND r.expires_at > {place}), 0)"
        f" FROM lot t LEFT JOIN stock_level l ON l.variant_id = t.variant_id AND l.location_id = {place} AND"
        f" l.lot_id = t.id WHERE t.variant_id IN ({','.join([place] * len(keys))})"
        " ORDER BY t.variant_id, CASE WHEN t.expiry_date IS NULL THEN 1 ELSE 0 END, t.expiry_date, t.id",
        (_moment(connection, utc_now()), warehouse_id, *keys),
    )
    result: dict[int, list[LotLevel]] = {key: [] for key in keys}
    for variant_id, lot_id, batch_number, expiry, available in rows:
        expiry_date = date.fromisoformat(expiry) if isinstance(expiry, str) else expiry
        key = LevelKey(variant_id, warehouse_id, lot_id)
        result[variant_id].append(LotLevel(key, batch_number, expiry_date, int(available)))
    return result


def ensure_lot(
    connection: Connection, variant_id: int, batch_number: str, expiry_date: date | None
) -> tuple[int, date | None]:
    """Return the lot's key and expiry date, making the lot when it is new.

    A lot that exists without an expiry date takes the one given; one that differs is for the caller to refuse.
    """
    place = "%s" if connection.dialect.name == "postgresql" else "?"
    expiry = expiry_date.isoformat() if expiry_date else None
    row = connection.exec_driver_sql(
        "INSERT INTO lot (variant_id, batch_number, expiry_date, created_at)"
        f" VALUES ({place}, {place}, {place}, {place}) ON CONFLICT (variant_id, batch_number)"
        " DO UPDATE SET expiry_date = COALESCE(lot.expiry_date, excluded.expiry_date) RETURNING id, expiry_date",
        (variant_id, batch_number, expiry, _moment(connection, utc_now())),
    ).one()
    kept = date.fromisoformat(row[1]) if isinstance(row[1], str) else row[1]
    return row[0], kept


def _columns(keys: Sequence[LevelKey]) -> tuple[list[int], list[int], list[int]]:
    return [key[0] for key in keys], [key[1] for key in keys], [key[2] for key in keys]


def _moment(connection: Connection, moment: datetime) -> datetime | str:
    return moment if connection.dialect.name == "postgresql" else format_instant(moment)


__all__ = [
    "Level",
    "LotLevel",
    "ensure_lot",
    "lock_levels",
    "lot_levels",
    "release_rows",
    "sweep_expired",
]
