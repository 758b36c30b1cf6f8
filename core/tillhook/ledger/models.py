"""Tables of the stock ledger: locations, lots, movements, levels, reservations, policy, alerts.

``stock_movement`` and ``stock_document`` are append-only: triggers refuse UPDATE and DELETE on both engines.
"""

from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, TimestampMixin, exact_checks, partial_index, utc_now

#: Fixed keys of the virtual locations, which hold no goods and keep the ledger's sum at zero.
VENDOR, CUSTOMER, ADJUSTMENT, SCRAP, TRANSIT = -1, -2, -3, -4, -5
#: Kinds of :class:`StockDocument`.
KINDS = ("receipt", "adjustment", "transfer", "count")
#: The lot key of goods that are not tracked by lot.
NO_LOT = 0


class Location(IdMixin, TimestampMixin, Base):
    """A place that movements go from and to: a warehouse or shop, or a virtual counterpart."""

    __tablename__ = "location"

    kind: Mapped[str]
    name: Mapped[str] = mapped_column(unique=True)
    code: Mapped[str | None] = mapped_column(unique=True)
    address: Mapped[str] = mapped_column(default="")
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        CheckConstraint("kind IN ('warehouse','vendor','customer','adjustment','scrap','transit')", name="kind"),
        CheckConstraint("(id > 0) = (kind = 'warehouse')", name="virtual_id"),
        # Beside nothing but negative keys, SQLite would otherwise number the first warehouse 0.
        {"sqlite_autoincrement": True},
    )


class Lot(IdMixin, Base):
    """A batch of one variant with one expiry date."""

    __tablename__ = "lot"

    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    batch_number: Mapped[str]
    expiry_date: Mapped[date | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        UniqueConstraint("variant_id", "batch_number"),
        # Written when a batch is new, which is when goods come in.
        Index("ix_lot_batch_number", "batch_number"),
        partial_index("ix_lot_expiry_date", "expiry_date", where="expiry_date IS NOT NULL"),
    )


class StockDocument(IdMixin, Base):
    """Why stock moved without a sale: a receipt, an adjustment, a transfer, a count."""

    __tablename__ = "stock_document"
    __append_only__ = True

    kind: Mapped[str]
    number: Mapped[str] = mapped_column(unique=True)
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    to_warehouse_id: Mapped[int | None] = mapped_column(ForeignKey("location.id"))
    reason: Mapped[str] = mapped_column(default="")
    actor_id: Mapped[int | None]
    request_id: Mapped[str] = mapped_column(default="")
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]

    # What lists begin with. No sale writes here.
    __table_args__ = (
        Index("ix_stock_document_occurred", "occurred_at", "id"),
        Index("ix_stock_document_kind", "kind", "occurred_at", "id"),
        Index("ix_stock_document_warehouse", "warehouse_id", "occurred_at", "id"),
        Index("ix_stock_document_actor", "actor_id", "occurred_at", "id"),
        partial_index(
            "ix_stock_document_to_warehouse",
            "to_warehouse_id",
            "occurred_at",
            "id",
            where="to_warehouse_id IS NOT NULL",
        ),
    )


class StockCountLine(IdMixin, Base):
    """What was expected and what was counted of one variant and lot; where they differ, a movement says the rest."""

    __tablename__ = "stock_count_line"
    __append_only__ = True

    document_id: Mapped[int]
    line_number: Mapped[int]
    product_id: Mapped[int]
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    lot_id: Mapped[int] = mapped_column(default=NO_LOT)
    expected: Mapped[Decimal]
    counted: Mapped[Decimal]

    __table_args__ = (
        *exact_checks("expected", "counted"),
        CheckConstraint("counted >= 0", name="counted"),
        UniqueConstraint("document_id", "line_number"),
        UniqueConstraint("variant_id", "lot_id", "document_id"),
    )


class StockMovement(IdMixin, Base):
    """A positive quantity of one variant and lot that went from one location to another. Immutable."""

    __tablename__ = "stock_movement"
    __append_only__ = True

    product_id: Mapped[int]
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    lot_id: Mapped[int] = mapped_column(default=NO_LOT)
    quantity: Mapped[Decimal]
    source_id: Mapped[int]
    destination_id: Mapped[int]
    unit_cost: Mapped[Decimal | None]
    occurred_at: Mapped[datetime]
    recorded_at: Mapped[datetime]
    channel: Mapped[str | None]
    document_type: Mapped[str]
    document_id: Mapped[int]
    document_line: Mapped[int]
    effect: Mapped[str]
    reverses_id: Mapped[int | None]

    __table_args__ = (
        *exact_checks("quantity"),
        CheckConstraint("quantity > 0", name="positive"),
        CheckConstraint("source_id <> destination_id", name="moves"),
        # One effect of a document line posts once.
        UniqueConstraint(
            "document_type", "document_id", "document_line", "effect", "lot_id", name="uq_stock_movement_effect"
        ),
        # Costs a sale what an index of (variant_id, id) did. Lists by product, and what moved since some moment.
        Index("ix_stock_movement_variant", "variant_id", "occurred_at", "id"),
        # Costs a sale 2 µs for each movement, on either engine, and PostgreSQL 57 bytes of log.
        Index("ix_stock_movement_occurred", "occurred_at", "id"),
        # What no channel did, which is what no sale did: costs a sale nothing.
        partial_index("ix_stock_movement_kind", "document_type", "occurred_at", "id", where="channel IS NULL"),
        # Those of a product, or a batch, that no sale made: costs a sale nothing either.
        partial_index("ix_stock_movement_stocked", "variant_id", "lot_id", "document_id", where="channel IS NULL"),
        # Those of a batch. Costs a sale of goods in lots what ix_stock_movement_occurred does, of other goods nothing.
        partial_index("ix_stock_movement_lot", "lot_id", "occurred_at", "id", where="lot_id <> 0"),
        partial_index("ix_stock_movement_reverses", "reverses_id", where="reverses_id IS NOT NULL"),
    )


class StockLevel(Base):
    """What a warehouse has on hand and has reserved of one variant and lot.

    ``reserved`` also counts reservations that have expired and are not yet swept; readers subtract them.
    """

    __tablename__ = "stock_level"

    variant_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    location_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lot_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, default=NO_LOT)
    on_hand: Mapped[Decimal] = mapped_column(default=Decimal(0))
    reserved: Mapped[Decimal] = mapped_column(default=Decimal(0))
    updated_at: Mapped[datetime] = mapped_column(default=utc_now)

    __table_args__ = (
        *exact_checks("on_hand", "reserved"),
        CheckConstraint("reserved >= 0", name="reserved_positive"),
        # Costs a sale nothing but the first of a variant at a place: no column of it changes.
        Index("ix_stock_level_location", "location_id", "variant_id", "lot_id"),
    )


class Reservation(IdMixin, Base):
    """Stock promised to a document until ``expires_at``; counts while not released and not expired."""

    __tablename__ = "reservation"

    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    lot_id: Mapped[int] = mapped_column(default=NO_LOT)
    quantity: Mapped[Decimal]
    document_type: Mapped[str]
    document_id: Mapped[int]
    document_line: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime]
    released_at: Mapped[datetime | None]
    outcome: Mapped[str | None]

    __table_args__ = (
        *exact_checks("quantity"),
        CheckConstraint("quantity > 0", name="positive"),
        Index("ix_reservation_document", "document_type", "document_id"),
        partial_index("ix_reservation_open", "variant_id", "location_id", where="released_at IS NULL"),
    )


class StockPolicy(IdMixin, Base):
    """What to do when a document wants more than is available; null means any."""

    __tablename__ = "stock_policy"

    product_id: Mapped[int | None] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"))
    warehouse_id: Mapped[int | None] = mapped_column(ForeignKey("location.id"))
    channel: Mapped[str | None]
    policy: Mapped[str]

    __table_args__ = (
        CheckConstraint("policy IN ('block','allow','absorb')", name="policy"),
        Index(
            "ux_stock_policy_key",
            text("coalesce(product_id, 0)"),
            text("coalesce(warehouse_id, 0)"),
            text("coalesce(channel, '')"),
            unique=True,
        ),
    )


class StockThreshold(IdMixin, Base):
    """A product's low-stock threshold at one warehouse, which goes before the product's own."""

    __tablename__ = "stock_threshold"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"))
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    threshold: Mapped[Decimal]

    __table_args__ = (
        UniqueConstraint("product_id", "warehouse_id"),
        CheckConstraint("threshold >= 0", name="positive"),
    )


class StockAlert(IdMixin, Base):
    """A product is, or was, below its threshold at a warehouse; at most one is open.

    ``current_stock`` is what was on hand when it was opened. The documents by which it was opened and resolved are
    ``None`` where no goods moved: the threshold changed, or the product is no longer tracked.
    """

    __tablename__ = "stock_alert"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"))
    variant_id: Mapped[int | None]
    warehouse_id: Mapped[int] = mapped_column(ForeignKey("location.id"))
    current_stock: Mapped[Decimal]
    threshold: Mapped[Decimal]
    status: Mapped[str] = mapped_column(default="open")
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[int | None]
    opened_type: Mapped[str | None]
    opened_id: Mapped[int | None]
    resolved_type: Mapped[str | None]
    resolved_id: Mapped[int | None]

    __table_args__ = (
        CheckConstraint("status IN ('open','resolved')", name="status"),
        # A sale writes here only when a product becomes low, or no longer is.
        Index("ix_stock_alert_product", "product_id", "id"),
        Index("ix_stock_alert_status", "status", "id"),
        partial_index("ux_stock_alert_open", "product_id", "warehouse_id", where="status = 'open'", unique=True),
    )
