"""The outbox: events written in the transaction that causes them, and who has had them."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, partial_index, utc_now


class OutboxEvent(IdMixin, Base):
    """One event. ``seq`` is given after the commit, in the order in which commits were seen; a restore leaves a gap."""

    __tablename__ = "outbox"

    seq: Mapped[int | None] = mapped_column(unique=True)
    name: Mapped[str]
    payload: Mapped[dict[str, Any]]
    warehouse_id: Mapped[int | None]
    occurred_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        partial_index("ix_outbox_unsequenced", "id", where="seq IS NULL"),
        # The numbered row fits on the page of the one before, and the payload is not logged once more.
        {"postgresql_with": {"fillfactor": 50}},
    )


class TurnMixin:
    """Work that one worker at a time has in hand, see ``tillhook.events.turns``.

    ``held_…`` are empty while nobody has; ``next_at`` is when it may be taken next. ``failures`` counts those since
    it last went well.
    """

    name: Mapped[str] = mapped_column(primary_key=True)
    next_at: Mapped[datetime] = mapped_column(default=utc_now)
    held_by: Mapped[str | None]
    held_since: Mapped[datetime | None]
    held_until: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(default="")


class ConsumerCursor(TurnMixin, Base):
    """How far a consumer has come: the ``seq`` of the last event that it had, or did not want."""

    __tablename__ = "consumer_cursor"

    seq: Mapped[int] = mapped_column(default=0)
