"""Tables of the sales journal. All but the exceptions are append-only.

A return and a cancellation are rows of their own, with negative quantities and amounts, that name the sale
they belong to; so a sum over the journal is net, and nothing is ever rewritten.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, exact_checks, partial_index, utc_now


class Sale(IdMixin, Base):
    """One document of the journal: a sale, a return or a cancellation."""

    __tablename__ = "sale"
    __append_only__ = True

    kind: Mapped[str]
    origin_id: Mapped[int | None]
    external_id: Mapped[str | None] = mapped_column(unique=True)
    fingerprint: Mapped[str | None]
    body_digest: Mapped[str | None]
    sale_number: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[str]
    warehouse_id: Mapped[int]
    seller_id: Mapped[int | None]
    seller_name: Mapped[str]
    customer_id: Mapped[int | None]
    customer_name: Mapped[str]
    customer_phone: Mapped[str]
    customer_email: Mapped[str]
    source_device: Mapped[str]
    is_offline: Mapped[bool]
    client_timestamp: Mapped[datetime | None]
    clock_suspect: Mapped[bool]
    sale_date: Mapped[datetime]
    created_at: Mapped[datetime]
    synced_at: Mapped[datetime | None]
    currency: Mapped[str]
    tax_rounding: Mapped[str]
    subtotal: Mapped[Decimal]
    tax_amount: Mapped[Decimal]
    discount_amount: Mapped[Decimal]
    total_amount: Mapped[Decimal]
    change_due: Mapped[Decimal]
    reason: Mapped[str]
    notes: Mapped[str]
    request_id: Mapped[str]

    __table_args__ = (
        CheckConstraint("kind IN ('sale','return','cancellation')", name="kind"),
        CheckConstraint("(kind = 'sale') = (origin_id IS NULL)", name="origin"),
        CheckConstraint("subtotal + tax_amount - discount_amount = total_amount", name="totals"),
        *exact_checks("subtotal", "tax_amount", "discount_amount", "total_amount"),
        Index("ix_sale_date", "sale_date", "id"),
        Index("ix_sale_warehouse", "warehouse_id", "sale_date"),
        partial_index("ix_sale_origin", "origin_id", where="origin_id IS NOT NULL"),
        partial_index("ux_sale_cancellation", "origin_id", where="kind = 'cancellation'", unique=True),
    )


class SaleLine(IdMixin, Base):
    """One line; ``total_price`` is quantity × (unit price − discount per item), before the sale's discount."""

    __tablename__ = "sale_line"
    __append_only__ = True

    sale_id: Mapped[int]
    line_number: Mapped[int]
    origin_line_id: Mapped[int | None]
    product_id: Mapped[int]
    variant_id: Mapped[int]
    product_name: Mapped[str]
    variant_details: Mapped[str]
    quantity: Mapped[Decimal]
    unit_price: Mapped[Decimal]
    catalogue_price: Mapped[Decimal | None]
    discount_per_item: Mapped[Decimal]
    discount_share: Mapped[Decimal]
    tax_id: Mapped[int | None]
    tax_rate: Mapped[Decimal]
    tax_inclusive: Mapped[bool]
    tax_amount: Mapped[Decimal]
    total_price: Mapped[Decimal]
    batch_number: Mapped[str | None]
    expiry_date: Mapped[date | None]
    restock: Mapped[str | None]
    flags: Mapped[list[Any] | None]

    __table_args__ = (
        *exact_checks("quantity", "unit_price", "total_price", "tax_amount"),
        CheckConstraint("quantity <> 0", name="quantity"),
        Index("ix_sale_line_sale", "sale_id"),
        Index("ix_sale_line_product", "product_id", "sale_id"),
        partial_index("ix_sale_line_origin", "origin_line_id", where="origin_line_id IS NOT NULL"),
    )


class SalePayment(IdMixin, Base):
    """A tender of a sale; ``amount`` as handed over, ``change`` what of it was given back."""

    __tablename__ = "sale_payment"
    __append_only__ = True

    sale_id: Mapped[int]
    method: Mapped[str]
    amount: Mapped[Decimal]
    change: Mapped[Decimal]
    reference: Mapped[str]

    __table_args__ = (*exact_checks("amount", "change"), Index("ix_sale_payment_sale", "sale_id"))


class SaleException(IdMixin, Base):
    """A sale that was refused and is kept, payload and all, for a person to look at."""

    __tablename__ = "sale_exception"

    external_id: Mapped[str | None] = mapped_column(index=True)
    digest: Mapped[str] = mapped_column(unique=True)
    channel: Mapped[str]
    source_device: Mapped[str]
    seller_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    warehouse_id: Mapped[int | None]
    code: Mapped[str]
    detail: Mapped[str]
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int] = mapped_column(default=1)
    status: Mapped[str] = mapped_column(default="open")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)
