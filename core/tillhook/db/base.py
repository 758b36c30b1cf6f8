"""The declarative base and the names of constraints."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Date, MetaData, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tillhook.db.types import Exact, Id, Instant, Json, utc_now

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of every mapped class, the core's and the plugins'."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {
        int: Id,
        str: Text,
        Decimal: Exact,
        datetime: Instant,
        date: Date,
        dict[str, Any]: Json,
        list[Any]: Json,
    }


class IdMixin:
    """A 64-bit key that the database gives."""

    id: Mapped[int] = mapped_column(primary_key=True)


class TimestampMixin:
    """When the row was made and last changed."""

    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
