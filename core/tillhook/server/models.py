"""The kept answers of requests that came with an ``Idempotency-Key``; the jobs and the workers."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, utc_now
from tillhook.events.models import TurnMixin


class IdempotencyKey(Base):
    """One answer, written in the transaction of the effect it tells of; gone after a day.

    ``request`` is a digest of method, path and body: another one under the same key is refused.
    """

    __tablename__ = "idempotency_key"

    #: A digest of the actor and the header: keys of two people never meet.
    key: Mapped[str] = mapped_column(primary_key=True)
    request: Mapped[str]
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)


class JobTurn(TurnMixin, Base):
    """When a job is due; ``schedule`` tells when that has to be worked out anew. Of a job that is gone it stays."""

    __tablename__ = "job"

    schedule: Mapped[str]
    last_run_at: Mapped[datetime | None]


class WorkerSign(Base):
    """When a worker was last seen alive; the row goes when it stops."""

    __tablename__ = "worker"

    name: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime] = mapped_column(default=utc_now)
