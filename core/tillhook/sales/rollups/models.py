"""Tables of the rollups: what was sold, summed by business day or period, net of what came back.

A day is a number, ``date.toordinal()``, so that periods of days are plain arithmetic. Every figure is there three
times, so that whoever asks reads few rows: for a seller at a warehouse, for a warehouse, and for the whole business,
``ALL`` standing for any. ``seller_id`` 0 is the system. Rows of one scope lie side by side, by day, then by channel.
"""

from decimal import Decimal

from sqlalchemy import CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, partial_index

#: Stands for all warehouses, and for all sellers.
ALL = -1


def _key() -> Mapped[int]:
    return mapped_column(primary_key=True, autoincrement=False)


class UncountedSale(Base):
    """A document that no rollup has yet; written together with it."""

    __tablename__ = "sale_uncounted"

    sale_id: Mapped[int] = _key()


class RollupCalendar(Base):
    """The calendar by which the rollups were made, an empty time zone for none; one row.

    Who writes rollups holds its lock.
    """

    __tablename__ = "rollup_calendar"

    id: Mapped[int] = _key()
    timezone: Mapped[str]
    day_cutoff_hour: Mapped[int]

    __table_args__ = (CheckConstraint("id = 1", name="single"),)


class RollupDay(Base):
    """What was sold on a day."""

    __tablename__ = "rollup_day"

    warehouse_id: Mapped[int] = _key()
    seller_id: Mapped[int] = _key()
    day: Mapped[int] = _key()
    channel: Mapped[str] = mapped_column(primary_key=True)
    sales_count: Mapped[int]
    quantity: Mapped[Decimal]
    amount: Mapped[Decimal]


class RollupTender(Base):
    """What came in by a payment method.

    ``payment_count`` counts each sale once, at the method that paid most of it; ``method`` is ``none`` for documents
    that nothing was paid for.
    """

    __tablename__ = "rollup_tender"

    warehouse_id: Mapped[int] = _key()
    seller_id: Mapped[int] = _key()
    day: Mapped[int] = _key()
    channel: Mapped[str] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    payment_count: Mapped[int]
    amount: Mapped[Decimal]


class RollupTax(Base):
    """What was sold under a tax, 0 for none, at the rate that it then had; ``gross`` is with the tax."""

    __tablename__ = "rollup_tax"

    warehouse_id: Mapped[int] = _key()
    seller_id: Mapped[int] = _key()
    day: Mapped[int] = _key()
    channel: Mapped[str] = mapped_column(primary_key=True)
    tax_id: Mapped[int] = _key()
    tax_rate: Mapped[Decimal] = mapped_column(primary_key=True)
    gross: Mapped[Decimal]
    tax: Mapped[Decimal]


class RollupProduct(Base):
    """What was sold of a product in a period: ``length`` days from ``first_day`` on, a number divisible by it.

    Lengths are powers of four, so that a range of days is the sum and difference of a few periods however long it is.
    What was counted last stands in rows of the length ``FRESH``, of a day each, and no period has it yet: a row per
    product and turn instead of one of each length.
    """

    __tablename__ = "rollup_product"

    length: Mapped[int] = _key()
    first_day: Mapped[int] = _key()
    warehouse_id: Mapped[int] = _key()
    seller_id: Mapped[int] = _key()
    channel: Mapped[str] = mapped_column(primary_key=True)
    product_id: Mapped[int] = _key()
    quantity: Mapped[Decimal]
    revenue: Mapped[Decimal]

    __table_args__ = (
        # One product's days, fresh ones too.
        partial_index(
            "ix_rollup_product_day", "product_id", "warehouse_id", "seller_id", "first_day", where="length <= 1"
        ),
    )
