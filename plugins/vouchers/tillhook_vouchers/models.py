"""The tables of vouchers."""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, exact_checks, partial_index, utc_now

GIFT_CARD = "gift_card"
STORE_CREDIT = "store_credit"
#: Spent offline under a code that nobody had issued.
UNKNOWN = "unknown"
KINDS = (GIFT_CARD, STORE_CREDIT, UNKNOWN)

#: What an entry is: those of a payment are by a tender of a document of the journal, ``given_back`` and ``refunded``
#: when money went back, the latter on a new voucher.
PAYMENTS = ("redeemed", "given_back", "refunded")
ENTRY_KINDS = ("issued", *PAYMENTS, "expired", "reinstated", "voided")


class Voucher(IdMixin, Base):
    """A code with money on it; ``balance`` is the sum of its entries, less than zero only after an offline sale.

    ``lookup`` is the code however it is typed. ``amount`` is what was put on it when it was issued. ``sale_id`` and
    ``sale_line`` name the document that issued it: the line of a gift card, by its number, or a refund.
    """

    __tablename__ = "voucher"

    code: Mapped[str]
    lookup: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    currency: Mapped[str]
    amount: Mapped[Decimal] = mapped_column(default=Decimal(0))
    balance: Mapped[Decimal] = mapped_column(default=Decimal(0))
    customer_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"), index=True)
    expires_on: Mapped[date | None]
    issued_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)
    issued_at: Mapped[datetime] = mapped_column(default=utc_now)
    reason: Mapped[str] = mapped_column(default="")
    sale_id: Mapped[int | None]
    sale_line: Mapped[int | None]
    voided_at: Mapped[datetime | None]

    __table_args__ = (
        *exact_checks("amount", "balance"),
        CheckConstraint("kind IN ('gift_card', 'store_credit', 'unknown')", name="kind"),
        partial_index("ix_voucher_sale", "sale_id", where="sale_id IS NOT NULL"),
        partial_index("ix_voucher_expiry", "expires_on", where="balance > 0"),
    )


class VoucherEntry(IdMixin, Base):
    """What was put on a voucher, positive, or taken off it; the document is one of the journal, if any.

    ``occurred_at`` is the document's moment, ``created_at`` when we heard of it.
    """

    __tablename__ = "voucher_entry"
    __append_only__ = True

    voucher_id: Mapped[int] = mapped_column(ForeignKey("voucher.id"), index=True)
    kind: Mapped[str]
    amount: Mapped[Decimal]
    document_type: Mapped[str] = mapped_column(default="")
    document_id: Mapped[int | None]
    is_offline: Mapped[bool] = mapped_column(default=False)
    reason: Mapped[str] = mapped_column(default="")
    occurred_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    __table_args__ = (*exact_checks("amount"), Index("ix_voucher_entry_moment", "occurred_at"))


class VoucherProduct(Base):
    """A product that is a gift card: each unit sold is a voucher."""

    __tablename__ = "voucher_product"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id"), primary_key=True, autoincrement=False)


class VoucherGuess(Base):
    """Somebody's codes of late that were none."""

    __tablename__ = "voucher_guess"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True, autoincrement=False)
    failures: Mapped[int]
    last_at: Mapped[datetime]
