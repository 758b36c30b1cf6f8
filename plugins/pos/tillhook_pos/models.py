"""The counter's tables. Sales themselves are the core's; what is here belongs to tills and to their sessions."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, exact_checks, partial_index, utc_now


class Till(IdMixin, Base):
    """A place where money is taken, known by the name that its sales carry in ``source_device``.

    A till that is registered as a device has a key of its own, ``api_key_id``, in the name of ``user_id``; one that
    was merely named when a session was opened has neither. ``code_version`` goes up when the secret that signs its
    receipts must change.
    """

    __tablename__ = "pos_till"

    name: Mapped[str] = mapped_column(unique=True)
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    is_active: Mapped[bool] = mapped_column(default=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_key.id"))
    code_version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)


class TillSession(IdMixin, Base):
    """A till from its opening float to its closing count.

    Amounts are money, all but ``over_short`` (counted less expected cash) zero or more. ``z_report`` is the report
    as it was at closing, so that it reads the same for ever.
    """

    __tablename__ = "pos_session"

    till_id: Mapped[int] = mapped_column(ForeignKey("pos_till.id"))
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    opened_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    opened_at: Mapped[datetime] = mapped_column(default=utc_now)
    opening_float: Mapped[Decimal]
    closed_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    closed_at: Mapped[datetime | None]
    expected_cash: Mapped[Decimal | None]
    counted_cash: Mapped[Decimal | None]
    over_short: Mapped[Decimal | None]
    #: Pieces by denomination, as counted.
    counts: Mapped[dict[str, Any] | None]
    z_number: Mapped[int | None]
    z_report: Mapped[dict[str, Any] | None]
    notes: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        *exact_checks("opening_float"),
        CheckConstraint("opening_float >= 0", name="float"),
        CheckConstraint("(closed_at IS NULL) = (z_number IS NULL)", name="z"),
        UniqueConstraint("till_id", "z_number"),
        partial_index("ux_pos_session_open", "till_id", where="closed_at IS NULL", unique=True),
        partial_index("ix_pos_session_opener", "opened_by", where="closed_at IS NULL"),
    )


class CashMovement(IdMixin, Base):
    """Cash put into a drawer or taken out of it, other than by a sale."""

    __tablename__ = "pos_cash_movement"
    __append_only__ = True

    session_id: Mapped[int] = mapped_column(ForeignKey("pos_session.id"), index=True)
    direction: Mapped[str]
    amount: Mapped[Decimal]
    reason: Mapped[str]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        *exact_checks("amount"),
        CheckConstraint("direction IN ('in','out')", name="direction"),
        CheckConstraint("amount > 0", name="amount"),
    )


class CounterDocument(Base):
    """A document of the journal that was made at the counter: which till's it is, and what has taken note of it.

    Written together with the document. A session claims what it reports when it closes, once: ``session_id``, and
    ``is_late`` when it happened before the session was opened.
    """

    __tablename__ = "pos_document"

    sale_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    #: ``source_device`` of the document, else ``user:`` and the seller's key.
    till: Mapped[str]
    session_id: Mapped[int | None]
    is_late: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        partial_index("ix_pos_document_unclaimed", "till", "sale_id", where="session_id IS NULL"),
        partial_index("ix_pos_document_session", "session_id", where="session_id IS NOT NULL"),
    )


class ParkedSale(IdMixin, Base):
    """A sale put aside before it was paid: no stock and no money has moved.

    ``body`` is what ``POST /api/sales`` would take. ``status`` is ``parked``, ``resumed`` or ``discarded``.
    """

    __tablename__ = "pos_parked_sale"

    label: Mapped[str]
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    till: Mapped[str]
    seller_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    body: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(default="parked")
    reason: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    ended_at: Mapped[datetime | None]

    __table_args__ = (
        CheckConstraint("status IN ('parked','resumed','discarded')", name="status"),
        partial_index("ix_pos_parked_sale_open", "warehouse_id", "id", where="status = 'parked'"),
    )


class PrintedReceipt(Base):
    """How often a document's receipt was handed out; all but the first are copies."""

    __tablename__ = "pos_receipt"

    sale_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    copies: Mapped[int]
    first_printed_at: Mapped[datetime] = mapped_column(default=utc_now)
