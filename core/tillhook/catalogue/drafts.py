"""Products as somebody wants them to be, one or many at a time, before anything is checked or written."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tillhook.catalogue.commands import NewProduct, NewVariant, Reference
from tillhook.errors import Conflict, DomainError, ValidationFailed
from tillhook.products import Product, Variant

#: Fields of a product that are set as they come.
PLAIN = (
    "name",
    "description",
    "price",
    "list_price",
    "cost_price",
    "attributes",
    "price_mode",
    "low_stock_threshold",
)
REFERENCES = ("category", "unit", "tax")


@dataclass(slots=True, kw_only=True)
class VariantDraft:
    """A variant to make, or with ``variant`` to change; ``is_default`` stands for the product itself.

    ``values`` are columns; ``codes`` are barcodes to add, with the stock units in their package. ``where`` is what
    errors are told apart by: the beginning of a field's name, or the number of a row.
    """

    values: dict[str, Any]
    codes: dict[str, Decimal] = field(default_factory=dict)
    where: str | int = ""
    variant: Variant | None = None
    is_default: bool = False

    @property
    def sku(self) -> str | None:
        return self.values.get("sku")


@dataclass(slots=True, kw_only=True)
class ProductDraft:
    """A product to make, or with ``product`` to change: its columns, what it refers to, its variants."""

    sku: str
    values: dict[str, Any]
    references: dict[str, Reference | None] = field(default_factory=dict)
    variants: list[VariantDraft] = field(default_factory=list)
    where: str | int = ""
    product: Product | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one field of a draft: a conflict (409) with others, or a mistake of the client's (422)."""

    where: str | int
    field: str
    message: str
    code: str = ""
    is_conflict: bool = False

    def error(self) -> DomainError:
        """Return the fault as the answer to a request of one product."""
        kind = Conflict if self.is_conflict else ValidationFailed
        errors = [{"field": f"{self.where}{self.field}", "message": self.message}]
        return kind(f"{self.where}{self.field}: {self.message}", code=self.code or kind.code, errors=errors)


def drafted(command: NewProduct, *, status: str, owner_id: int | None) -> ProductDraft:
    """Return the draft of a new product."""
    values = {name: getattr(command, name) for name in (*PLAIN, "tracking")}
    values |= {"sku": command.sku, "status": status, "owner_id": owner_id, "has_variants": bool(command.variants)}
    draft = ProductDraft(sku=command.sku, values=values, references=references_of(command))
    draft.variants = [drafted_variant(each, f"variants.{number}.") for number, each in enumerate(command.variants)]
    if not command.variants:
        codes = dict.fromkeys(command.all_barcodes, Decimal(1))
        draft.variants.append(VariantDraft(values={}, codes=codes, is_default=True))
    return draft


def drafted_variant(command: NewVariant, where: str | int = "") -> VariantDraft:
    """Return the draft of a new variant."""
    values = {name: getattr(command, name) for name in ("sku", "name", "attributes", "price", "cost_price")}
    codes = {} if command.barcode is None else {command.barcode: Decimal(1)}
    return VariantDraft(values=values, codes=codes, where=where)


def references_of(command: NewProduct) -> dict[str, Reference | None]:
    """Return what a new product refers to; what it does not name is ``None``, and has a default."""
    return {name: getattr(command, name) for name in REFERENCES}


def all_variants(drafts: list[ProductDraft]) -> Iterator[tuple[ProductDraft, VariantDraft]]:
    """Yield every variant with its product."""
    for draft in drafts:
        for variant in draft.variants:
            yield draft, variant
