"""Tables of the catalogue: products, their variants and barcodes, and what describes them.

Stock and sales refer to variants. A product without variants has exactly one, its default variant, which
clients need not name.
"""

from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, NullableJson, TimestampMixin, exact_checks, partial_index


class Category(IdMixin, Base):
    """A group of products; names are unique over the whole tree, because an import names them."""

    __tablename__ = "category"

    name: Mapped[str] = mapped_column(unique=True)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"))

    __table_args__ = (CheckConstraint("parent_id <> id", name="parent"),)


class Unit(IdMixin, Base):
    """A unit of measure; ``precision`` is how many digits a quantity may have after the point."""

    __tablename__ = "unit"

    code: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    precision: Mapped[int] = mapped_column(default=0)

    __table_args__ = (CheckConstraint("precision BETWEEN 0 AND 4", name="precision"),)


class Tax(IdMixin, Base):
    """A tax rate as a fraction (0.2 is 20 %), contained in the price or added to it."""

    __tablename__ = "tax"

    name: Mapped[str] = mapped_column(unique=True)
    rate: Mapped[Decimal]
    is_inclusive: Mapped[bool] = mapped_column(default=False)
    is_default: Mapped[bool] = mapped_column(default=False)
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        *exact_checks("rate"),
        CheckConstraint("rate BETWEEN 0 AND 10000", name="rate_fraction"),
        partial_index("ux_tax_default", "is_default", where="is_default", unique=True),
    )


class Product(IdMixin, TimestampMixin, Base):
    """What a shop sells. Amounts are in the firm's currency, per unit of measure."""

    __tablename__ = "product"

    name: Mapped[str]
    sku: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="")
    category_id: Mapped[int | None] = mapped_column(ForeignKey("category.id"), index=True)
    unit_id: Mapped[int] = mapped_column(ForeignKey("unit.id"))
    tax_id: Mapped[int | None] = mapped_column(ForeignKey("tax.id"))
    price: Mapped[Decimal]
    list_price: Mapped[Decimal | None]
    cost_price: Mapped[Decimal | None]
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    tracking: Mapped[str] = mapped_column(default="quantity")
    price_mode: Mapped[str] = mapped_column(default="bounded")
    low_stock_threshold: Mapped[Decimal | None]
    status: Mapped[str] = mapped_column(default="pending")
    reject_reason: Mapped[str] = mapped_column(default="")
    #: On what terms it was approved last (``catalogue/terms.py``); ``None`` for one that never was.
    approved_terms: Mapped[dict[str, Any] | None] = mapped_column(NullableJson)
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)
    #: What an open-price product was last sold for: a suggestion, not a price.
    last_price: Mapped[Decimal | None]
    has_variants: Mapped[bool] = mapped_column(default=False)
    #: Name, SKUs and barcodes, case folded, one per line: neither engine folds more than ASCII alike.
    search_text: Mapped[str] = mapped_column(default="")

    __table_args__ = (
        *exact_checks("price", "list_price", "cost_price", "low_stock_threshold", "last_price"),
        CheckConstraint("price >= 0", name="price_positive"),
        CheckConstraint("list_price >= 0", name="list_price_positive"),
        CheckConstraint("cost_price >= 0", name="cost_price_positive"),
        CheckConstraint("low_stock_threshold >= 0", name="low_stock_threshold_positive"),
        CheckConstraint("tracking IN ('none','quantity','lot')", name="tracking"),
        CheckConstraint("price_mode IN ('list','bounded','open')", name="price_mode"),
        CheckConstraint("status IN ('pending','published','rejected','archived')", name="status"),
        # A sale changes no column of these.
        Index("ix_product_created_at", "created_at", "id"),
        Index("ix_product_name", "name", "id"),
        Index("ix_product_price", "price", "id"),
        Index("ix_product_status", "status", "id"),
    )


class Variant(IdMixin, Base):
    """One size, colour or strength of a product; a null price or cost is the product's."""

    __tablename__ = "variant"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"), index=True)
    is_default: Mapped[bool] = mapped_column(default=False)
    sku: Mapped[str | None] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    attributes: Mapped[dict[str, Any]] = mapped_column(default=dict)
    price: Mapped[Decimal | None]
    cost_price: Mapped[Decimal | None]
    #: What it cost when its product was approved last, by itself or with it.
    approved_price: Mapped[Decimal | None]
    is_active: Mapped[bool] = mapped_column(default=True)

    __table_args__ = (
        *exact_checks("price", "cost_price", "approved_price"),
        CheckConstraint("price >= 0", name="price_positive"),
        CheckConstraint("cost_price >= 0", name="cost_price_positive"),
        partial_index("ux_variant_default", "product_id", where="is_default", unique=True),
    )


class Barcode(IdMixin, Base):
    """A code on a package of ``pack_quantity`` units of a variant.

    ``code`` is what was typed; ``key`` is what scans are compared with (see ``barcodes.canonical``).
    """

    __tablename__ = "barcode"

    code: Mapped[str] = mapped_column(unique=True)
    key: Mapped[str] = mapped_column(unique=True)
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id", ondelete="CASCADE"), index=True)
    pack_quantity: Mapped[Decimal] = mapped_column(default=Decimal(1))

    __table_args__ = (
        *exact_checks("pack_quantity"),
        CheckConstraint("pack_quantity > 0", name="pack_quantity_positive"),
    )


class ProductImage(IdMixin, Base):
    """A picture of a product; the file is found by its SHA-256 and may serve several products."""

    __tablename__ = "product_image"

    product_id: Mapped[int] = mapped_column(ForeignKey("product.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    sha256: Mapped[str] = mapped_column(index=True)
    content_type: Mapped[str]
    size: Mapped[int]
    width: Mapped[int]
    height: Mapped[int]
