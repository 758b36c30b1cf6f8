"""What a client asks of the catalogue, after its schema has checked it, and what hooks are told of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

#: A category, unit or tax as a client names it: its key or its name.
Reference = int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewVariant:
    """A variant to make; a price or cost of ``None`` is the product's."""

    sku: str | None = None
    name: str = ""
    barcode: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    price: Decimal | None = None
    cost_price: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProduct:
    """A product to make. Amounts are money per unit of measure; ``unit`` ``None`` is ``pcs``, whole pieces."""

    name: str
    sku: str
    price: Decimal
    barcode: str | None = None
    barcodes: tuple[str, ...] = ()
    category: Reference | None = None
    unit: Reference | None = None
    tax: Reference | None = None
    list_price: Decimal | None = None
    cost_price: Decimal | None = None
    description: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    tracking: str = "quantity"
    price_mode: str = "bounded"
    low_stock_threshold: Decimal | None = None
    variants: tuple[NewVariant, ...] = ()

    @property
    def all_barcodes(self) -> tuple[str, ...]:
        """The barcodes in order, ``barcode`` first, none twice."""
        first = () if self.barcode is None else (self.barcode,)
        return tuple(dict.fromkeys(first + self.barcodes))


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedProduct:
    """A product as it was written; ``is_new`` when it was made just now. Amounts are money per unit of measure."""

    id: int
    is_new: bool
    name: str
    sku: str
    status: str
    tracking: str
    price_mode: str
    price: Decimal
    list_price: Decimal | None
    cost_price: Decimal | None
    category_id: int | None
    unit_id: int
    tax_id: int | None
    owner_id: int | None
    has_variants: bool
    low_stock_threshold: Decimal | None
    attributes: Mapping[str, Any]
