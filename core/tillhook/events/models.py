"""The outbox: events written in the transaction that causes them."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, partial_index, utc_now


class OutboxEvent(IdMixin, Base):
    """One event. ``seq`` is given after the commit, without gaps, in the order in which commits were seen."""

    __tablename__ = "outbox"

    seq: Mapped[int | None] = mapped_column(unique=True)
    name: Mapped[str]
    payload: Mapped[dict[str, Any]]
    warehouse_id: Mapped[int | None]
    occurred_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (partial_index("ix_outbox_unsequenced", "id", where="seq IS NULL"),)


class ConsumerCursor(Base):
    """How far a consumer has come."""

    __tablename__ = "consumer_cursor"

    consumer: Mapped[str] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(default=utc_now, onupdate=utc_now)
