"""The epoch of the reference data, and the settings that somebody changed."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, Json, utc_now


class Epoch(Base):
    """One row; its value grows with every change of what :class:`~tillhook.reference.Snapshot` holds."""

    __tablename__ = "epoch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[int]

    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class Setting(Base):
    """A setting whose value is not the declared default; decimals are kept as text."""

    __tablename__ = "setting"

    key: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[Any] = mapped_column(Json)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
