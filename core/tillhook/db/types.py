"""Column types that mean the same on SQLite and on PostgreSQL."""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from sqlalchemy import JSON, BigInteger, CheckConstraint, DateTime, Dialect, Index, Integer, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine

from tillhook.quantities import MAX_UNITS, from_units, to_units

#: A 64-bit key. SQLite numbers rows by itself only when the column is a plain INTEGER.
Id = BigInteger().with_variant(Integer(), "sqlite")

#: A JSON document; ``jsonb`` on PostgreSQL.
Json = JSON().with_variant(JSONB(), "postgresql")
#: A JSON document whose ``None`` is SQL's NULL.
NullableJson = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class Exact(TypeDecorator[Decimal]):
    """A ``Decimal`` of up to four digits after the point, kept as an integer of 1/10,000."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | int | None, dialect: Dialect) -> int | None:
        return None if value is None else to_units(Decimal(value))

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        # SUM() of bigint is numeric on PostgreSQL, hence int().
        return None if value is None else from_units(int(value))


class Instant(TypeDecorator[datetime]):
    """A moment in UTC: ``timestamptz`` on PostgreSQL, RFC 3339 text of fixed width on SQLite."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(27))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant needs a time zone")
        return format_instant(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else as_instant(value)


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


@lru_cache(maxsize=256)
def format_instant(value: datetime) -> str:
    """Return RFC 3339 text of fixed width, so that text order is time order."""
    # A sale formats a dozen moments, most of which are one and the same.
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"


def as_instant(value: datetime | str) -> datetime:
    """Return the moment that either engine's driver gives for an ``Instant`` column."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.astimezone(UTC)


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index over the rows that meet ``where`` only, on both engines."""
    condition = text(where)
    return Index(name, *columns, unique=unique, postgresql_where=condition, sqlite_where=condition)


def exact_checks(*columns: str) -> tuple[CheckConstraint, ...]:
    """Return a constraint per column that keeps it a whole number in range.

    SQLite stores text and fractions in integer columns, and an overflow there turns into a fraction;
    the cast refuses both, and costs PostgreSQL nothing.
    """
    return tuple(
        CheckConstraint(
            f"{column} = CAST({column} AS BIGINT) AND {column} BETWEEN -{MAX_UNITS} AND {MAX_UNITS}",
            name=f"{column}_exact",
        )
        for column in columns
    )
