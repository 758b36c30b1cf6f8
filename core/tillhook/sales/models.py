"""Tables of the sales journal. All but the exceptions and the devices are append-only.

A return, an exchange and a cancellation are rows of their own that name the sale they belong to; what comes back has
negative quantities and amounts, so a sum over the journal is net, and nothing is ever rewritten.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, Text, literal_column, or_
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, exact_checks, partial_index, utc_now

#: Conditions of indexes; a query that is to use one says the same, without parameters.
_IS_NAMED = "customer_name <> '' OR customer_phone <> ''"
_DIFFERS = "subtotal IS NOT NULL OR tax_amount IS NOT NULL OR total_amount IS NOT NULL"
_IS_SOLD = "kind IN ('sale','exchange')"
_IS_BACK = "kind IN ('return','cancellation')"


class Sale(IdMixin, Base):
    """One document of the journal: a sale, a return, an exchange or a cancellation.

    What is paid is ``total_amount + cash_rounding``. ``device_number`` is the device's own running number.
    ``currency_places`` and ``tax_rounding`` are those by which its amounts were rounded.
    """

    __tablename__ = "sale"
    __append_only__ = True

    kind: Mapped[str]
    origin_id: Mapped[int | None]
    external_id: Mapped[str | None] = mapped_column(unique=True)
    fingerprint: Mapped[str | None]
    body_digest: Mapped[str | None]
    #: In the order of bytes, whatever the database's locale: a search for the beginning of one is a range.
    sale_number: Mapped[str] = mapped_column(Text().with_variant(Text(collation="C"), "postgresql"), unique=True)
    channel: Mapped[str]
    warehouse_id: Mapped[int]
    seller_id: Mapped[int | None]
    seller_name: Mapped[str]
    customer_id: Mapped[int | None]
    customer_name: Mapped[str]
    customer_phone: Mapped[str]
    customer_email: Mapped[str]
    source_device: Mapped[str]
    device_number: Mapped[int | None]
    is_offline: Mapped[bool]
    client_timestamp: Mapped[datetime | None]
    clock_suspect: Mapped[bool]
    sale_date: Mapped[datetime]
    created_at: Mapped[datetime]
    synced_at: Mapped[datetime]
    currency: Mapped[str]
    currency_places: Mapped[int] = mapped_column(Integer)
    tax_rounding: Mapped[str]
    subtotal: Mapped[Decimal]
    tax_amount: Mapped[Decimal]
    discount_amount: Mapped[Decimal]
    total_amount: Mapped[Decimal]
    cash_rounding: Mapped[Decimal]
    change_due: Mapped[Decimal]
    reason: Mapped[str]
    notes: Mapped[str]
    request_id: Mapped[str]

    __table_args__ = (
        CheckConstraint("kind IN ('sale','return','exchange','cancellation')", name="kind"),
        CheckConstraint("(kind = 'sale') = (origin_id IS NULL)", name="origin"),
        CheckConstraint("currency_places BETWEEN 0 AND 4", name="currency_places"),
        CheckConstraint("subtotal + tax_amount - discount_amount = total_amount", name="totals"),
        *exact_checks("subtotal", "tax_amount", "discount_amount", "total_amount", "cash_rounding"),
        # What lists begin with. Behind each what it takes PostgreSQL to keep it up, in µs of CPU a sale: sales inserted
        # beside a million, with and without it. All that is written with a sale of two lines takes it some 480.
        Index("ix_sale_date", "sale_date", "id"),  # 1.1
        Index("ix_sale_place", "warehouse_id", "channel", "id"),  # 2.2
        Index("ix_sale_seller", "seller_id", "id"),  # 0.9
        partial_index("ix_sale_total", "total_amount", "id", where=_IS_SOLD),  # 3.7, as each goes to another place
        Index("ix_sale_created", "created_at", "id"),  # 0.5
        Index("ix_sale_device", "source_device", "id"),  # 1.3
        partial_index("ix_sale_customer", "customer_id", "id", where="customer_id IS NOT NULL"),  # 0.8, one of 16 named
        partial_index("ix_sale_name", "customer_name", "customer_phone", "id", where=_IS_NAMED),  # 0.2, likewise
        partial_index("ix_sale_device_number", "source_device", "device_number", where="device_number IS NOT NULL"),
        partial_index("ix_sale_origin", "origin_id", where="origin_id IS NOT NULL"),
        # These cost what is sold nothing.
        partial_index("ix_sale_kind", "kind", "id", where="origin_id IS NOT NULL"),
        partial_index("ix_sale_total_back", "total_amount", "id", where=_IS_BACK),
        partial_index("ux_sale_cancellation", "origin_id", where="kind = 'cancellation'", unique=True),
    )


#: The condition that a document says whose it was.
IS_NAMED = or_(Sale.customer_name != literal_column("''"), Sale.customer_phone != literal_column("''"))
#: The condition that a document is what lists of sales show unless asked for others, and that it is not.
IS_SOLD = Sale.kind.in_([literal_column("'sale'"), literal_column("'exchange'")])
IS_BACK = Sale.kind.in_([literal_column("'return'"), literal_column("'cancellation'")])


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
        Index("ix_sale_line_product", "product_id", "sale_id"),  # 7.3, for two lines; as above
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

    __table_args__ = (
        *exact_checks("amount", "change"),
        Index("ix_sale_payment_sale", "sale_id"),
        Index("ix_sale_payment_method", "method", "sale_id"),  # 1.4 µs of CPU, as the indexes of sale
    )


class SaleSent(Base):
    """What was sent with a document and is not in it; most have nothing, and no row.

    ``warnings`` are objects of ``field``, ``detail`` and ``value``. The amounts are the client's own, where it sent
    some and they are not the document's.
    """

    __tablename__ = "sale_sent"
    __append_only__ = True

    sale_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    warnings: Mapped[list[Any]]
    subtotal: Mapped[Decimal | None]
    tax_amount: Mapped[Decimal | None]
    total_amount: Mapped[Decimal | None]

    __table_args__ = (
        *exact_checks("subtotal", "tax_amount", "total_amount"),
        partial_index("ix_sale_sent_differing", "sale_id", where=_DIFFERS),
    )


#: The condition that a document comes to something else than its client says.
DIFFERS = or_(SaleSent.subtotal.is_not(None), SaleSent.tax_amount.is_not(None), SaleSent.total_amount.is_not(None))


class SaleName(Base):
    """Name and phone of a customer as documents have them, each once; who searches begins here.

    Entered when documents are counted, see ``tillhook.sales.rollups``. ``search_text`` is both, folded.
    """

    __tablename__ = "sale_name"

    name: Mapped[str] = mapped_column(primary_key=True)
    phone: Mapped[str] = mapped_column(primary_key=True)
    search_text: Mapped[str]


class SaleException(IdMixin, Base):
    """A document that was refused, payload and all, for a person to look at.

    ``tillhook.sales.exceptions`` has the table of what ``status`` may be. A return that waits names its sale by
    ``origin_external_id``; ``sale_id`` is the document that came of an accepted one.
    """

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
    origin_external_id: Mapped[str | None]
    sale_id: Mapped[int | None]
    resolution: Mapped[str] = mapped_column(default="")
    resolved_by: Mapped[int | None]
    resolved_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        CheckConstraint("status IN ('open','waiting','accepted','discarded')", name="status"),
        partial_index("ix_sale_exception_waiting", "origin_external_id", where="status = 'waiting'"),
        Index("ix_sale_exception_status", "status", "id"),
        Index("ix_sale_exception_code", "code", "id"),
        Index("ix_sale_exception_seller", "seller_id", "id"),
        Index("ix_sale_exception_seen", "last_seen_at", "id"),
    )


class SaleDevice(IdMixin, Base):
    """The highest running number that a device has used; its row is locked while numbers are entered.

    ``seller_id`` and ``warehouse_id`` say by whom and where it was last seen; there is no warehouse before its first
    posted sale.
    """

    __tablename__ = "sale_device"

    name: Mapped[str] = mapped_column(unique=True)
    last_number: Mapped[int]
    seller_id: Mapped[int | None]
    warehouse_id: Mapped[int | None]
    last_seen_at: Mapped[datetime] = mapped_column(default=utc_now)


class SaleDeviceGap(IdMixin, Base):
    """Running numbers, ``first_number`` to ``last_number``, that a device must have used and nobody has sent.

    ``written_off`` says why they are no longer waited for.
    """

    __tablename__ = "sale_device_gap"

    device: Mapped[str] = mapped_column(ForeignKey("sale_device.name"))
    first_number: Mapped[int]
    last_number: Mapped[int]
    written_off: Mapped[str | None]

    __table_args__ = (
        CheckConstraint("first_number <= last_number", name="order"),
        Index("ix_sale_device_gap_device", "device", "first_number"),
    )
