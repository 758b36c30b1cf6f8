"""Barcodes: check digits, which codes mean the same, and whose they are.

A code with a right check digit is a GTIN of 8, 12, 13 or 14 digits; anything else is a free code, compared
character by character, leading zeros and all. A wrong check digit is no error: shops print their own codes.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from sqlalchemy import Connection, select, union
from sqlalchemy.orm import Session

from tillhook.errors import Conflict, ValidationFailed
from tillhook.products.models import Barcode, Product, Variant

Kind = Literal["ean8", "upca", "ean13", "gtin14", "free"]
_KINDS: dict[int, Kind] = {8: "ean8", 12: "upca", 13: "ean13", 14: "gtin14"}
MAX_LENGTH = 64


@dataclass(frozen=True, slots=True)
class ScannedCode:
    """What a code means: ``pack_quantity`` stock units of a variant; ``kind`` may also be ``sku``."""

    code: str
    kind: str
    product_id: int
    variant_id: int
    pack_quantity: Decimal


def check_digit(body: str) -> str:
    """Return the check digit that GS1 puts behind ``body``, digits only (General Specifications, 7.9)."""
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def kind_of(code: str) -> Kind:
    """Return what kind of code it is, by its length and check digit."""
    if len(code) in _KINDS and code.isascii() and code.isdigit() and check_digit(code[:-1]) == code[-1]:
        return _KINDS[len(code)]
    return "free"


def canonical(code: str) -> str:
    """Return the form in which codes that mean the same are equal.

    A UPC-A is the EAN-13 with a zero in front, and a GTIN-14 that begins with zeros is the shorter code it
    was padded from. A free code is its own form.
    """
    kind = kind_of(code)
    if kind == "upca":
        return "0" + code
    if kind == "gtin14" and code.startswith("000000"):
        return code[6:]
    if kind == "gtin14" and code.startswith("0"):
        return code[1:]
    return code


def clean_code(code: str) -> str:
    """Return the code without the white space around it.

    Raises:
        ValueError: It is empty, too long, or has a control character.
    """
    code = code.strip()
    if not code:
        raise ValueError("A barcode has at least one character.")
    if len(code) > MAX_LENGTH:
        raise ValueError(f"A barcode has at most {MAX_LENGTH} characters.")
    if not code.isprintable():
        raise ValueError("A barcode has no control characters.")
    return code


def find_code(connection: Connection, code: str) -> ScannedCode | None:
    """Return what a scanned or typed code means: a barcode, else an SKU. One round trip for a barcode.

    It says nothing of who may see or sell the product.
    """
    return find_codes(connection, [code]).get(code)


def find_codes(connection: Connection, codes: Iterable[str]) -> dict[str, ScannedCode]:
    """Return what codes mean, by the code as given; unknown ones are left out. Two statements at most."""
    keys = {code: canonical(code.strip()) for code in codes}
    if not keys:
        return {}
    barcodes = {
        row.key: row
        for row in connection.execute(
            select(Barcode.key, Variant.product_id, Barcode.variant_id, Barcode.pack_quantity)
            .join(Variant, Variant.id == Barcode.variant_id)
            .where(Barcode.key.in_(sorted(set(keys.values()))))
        )
    }
    found = {
        code: ScannedCode(code.strip(), kind_of(code.strip()), row.product_id, row.variant_id, row.pack_quantity)
        for code, key in keys.items()
        if (row := barcodes.get(key)) is not None
    }
    rest = {code: code.strip() for code in keys if code not in found}
    by_sku = _by_sku(connection, set(rest.values())) if rest else {}
    return found | {code: by_sku[sku] for code, sku in rest.items() if sku in by_sku}


def _by_sku(connection: Connection, skus: Collection[str]) -> dict[str, ScannedCode]:
    wanted = sorted(skus)
    # Two statements in one, for with "or" both engines would read all products.
    of_variants = select(Variant.id).where(Variant.sku.in_(wanted))
    of_products = select(Variant.id).join(Product).where(Product.sku.in_(wanted), Variant.is_default)
    rows = connection.execute(
        select(Variant.sku, Product.sku.label("product_sku"), Variant.product_id, Variant.id, Variant.is_default)
        .join(Product, Product.id == Variant.product_id)
        .where(Variant.id.in_(union(of_variants, of_products)))
    )
    found: dict[str, ScannedCode] = {}
    for row in rows:
        for sku in (row.sku, row.product_sku if row.is_default else None):
            if sku is not None and sku in skus:
                found.setdefault(sku, ScannedCode(sku, "sku", row.product_id, row.id, Decimal(1)))
    return found


def add_barcode(
    session: Session, variant: Variant, code: str, pack_quantity: Decimal = Decimal(1), field: str = "barcode"
) -> Barcode:
    """Give the variant one more barcode.

    Raises:
        ValidationFailed: 422: not a code at all.
        Conflict: 409 ``duplicate-barcode``: another variant, or this one, has it already.
    """
    try:
        code = clean_code(code)
    except ValueError as error:
        raise ValidationFailed.at(field, str(error)) from error
    require_free(session, [code], field)
    barcode = Barcode(code=code, key=canonical(code), variant_id=variant.id, pack_quantity=pack_quantity)
    session.add(barcode)
    return barcode


def require_free(session: Session, codes: Iterable[str], field: str = "barcode") -> None:
    """Refuse codes that somebody has, with 409 ``duplicate-barcode`` naming the field."""
    session.flush()
    taken = session.scalar(select(Barcode.code).where(Barcode.key.in_([canonical(code) for code in codes])))
    if taken is not None:
        raise Conflict(
            f"The barcode {taken} belongs to a product already.",
            code="duplicate-barcode",
            errors=[{"field": field, "message": f"{taken} belongs to a product already."}],
        )
