"""Categories, units of measure and taxes: what a product refers to by key or by name."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, TypeVar

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.catalogue.answers import CategoryOut, TaxOut, UnitOut
from tillhook.catalogue.commands import Reference
from tillhook.db import Base, RetryTransaction
from tillhook.errors import Conflict, NotFound, ValidationFailed
from tillhook.http import Answer
from tillhook.ledger.models import StockLevel
from tillhook.products.models import Category, Product, Tax, Unit, Variant
from tillhook.reference import bump_epoch
from tillhook.runtime import actor_of

Described = TypeVar("Described", Category, Unit, Tax)

#: The unit of a product that names none: whole pieces.
DEFAULT_UNIT = "pcs"
#: Units that everybody knows, with their names and digits after the point: made when they are named first.
STANDARD_UNITS = {"pcs": ("Piece", 0), "kg": ("Kilogram", 3), "l": ("Litre", 3), "m": ("Metre", 2)}
#: How many units a refusal names.
_MOST_NAMED = 20
_NAMES = {Category: "category", Unit: "unit", Tax: "tax"}
_ANSWERS: dict[type[Base], type[Answer]] = {Category: CategoryOut, Unit: UnitOut, Tax: TaxOut}


def list_setup(session: Session, model: type[Described]) -> list[Described]:
    """Return all categories, units or taxes in the order of their keys; there are few."""
    return list(session.scalars(select(model).order_by(model.id)))


def create_setup(session: Session, model: type[Described], fields: Mapping[str, Any]) -> Described:
    """Make a category, unit or tax.

    Raises:
        Conflict: 409 ``duplicate-name``.
        ValidationFailed: 422: the parent category does not exist.
    """
    row = model(**fields)
    _check(session, row)
    session.add(row)
    _saved(session, "create", row, None)
    return row


def update_setup(session: Session, model: type[Described], key: int, fields: Mapping[str, Any]) -> Described:
    """Change a category, unit or tax; sales that are posted keep what they were posted with.

    Raises:
        NotFound: 404.
        Conflict: 409: the name is taken, or the unit's precision is finer in use.
    """
    row = session.get(model, key, with_for_update=True)
    if row is None:
        raise NotFound(f"There is no {_NAMES[model]} {key}.")
    before = setup_answer(row)
    for name, value in fields.items():
        setattr(row, name, value)
    _check(session, row)
    _saved(session, "update", row, before)
    return row


def setup_answer(row: Described) -> dict[str, Any]:
    """Return the row as the API shows it."""
    return _ANSWERS[type(row)].of(row)


class Missing:
    """Categories and units that would be made: they have keys of their own, below zero."""

    def __init__(self) -> None:
        self._keys: dict[tuple[type[Base], str], int] = {}
        #: The digits after the point of units, by key.
        self.precisions: dict[int, int] = {}

    def key(self, model: type[Base], name: str, precision: int = 0) -> int:
        """Return the key of what would be made under a name."""
        key = self._keys.setdefault((model, name.strip().lower()), -1 - len(self._keys))
        if model is Unit:
            self.precisions[key] = precision
        return key

    def count(self, model: type[Base]) -> int:
        """Return how many would be made."""
        return sum(each is model for each, _ in self._keys)


def resolve_category(
    session: Session, reference: Reference | None, field: str = "category", *, missing: Missing | None = None
) -> int | None:
    """Return the category's key; an unknown name makes a category if the actor may.

    Args:
        missing: Told of what would be made, which is then not made.

    Raises:
        ValidationFailed: 422: no such category, and none may be made.
    """
    if reference is None:
        return None
    found = find_setup(session, Category, reference)
    if found is not None:
        return found
    if isinstance(reference, str) and actor_of(session).can("catalogue:setup:manage"):
        if missing is not None:
            return missing.key(Category, reference)
        return create_setup(session, Category, {"name": reference}).id
    raise ValidationFailed.at(field, f"There is no category {reference}.", code="unknown-category")


def resolve_unit(
    session: Session,
    reference: Reference | None,
    field: str = "unit",
    *,
    create_units: bool = False,
    missing: Missing | None = None,
) -> int:
    """Return the unit's key, the default one's for ``None``.

    Args:
        create_units: Whether an unknown code makes a unit, one of whole pieces until somebody says otherwise.
        missing: Told of what would be made, which is then not made.

    Raises:
        ValidationFailed: 422 ``unknown-unit``, naming those that there are.
    """
    reference = DEFAULT_UNIT if reference is None else reference
    found = find_setup(session, Unit, reference)
    if found is not None:
        return found
    code = str(reference).strip()
    standard = code.lower() if code.lower() in STANDARD_UNITS else None
    if isinstance(reference, str) and (standard or create_units):
        name, precision = STANDARD_UNITS[standard] if standard else (code, 0)
        if missing is not None:
            return missing.key(Unit, standard or code, precision)
        return create_setup(session, Unit, {"code": standard or code, "name": name, "precision": precision}).id
    known = sorted({*STANDARD_UNITS, *session.scalars(select(Unit.code).order_by(Unit.id).limit(_MOST_NAMED))})
    message = f"There is no unit {reference}. Known are {', '.join(known[:_MOST_NAMED])}."
    raise ValidationFailed.at(field, message, code="unknown-unit")


def resolve_tax(session: Session, reference: Reference | None, field: str = "tax") -> int | None:
    """Return the tax's key; 422 for an unknown or inactive one."""
    if reference is None:
        return None
    found = find_setup(session, Tax, reference)
    if found is None:
        raise ValidationFailed.at(field, f"There is no tax {reference}.", code="unknown-tax")
    return found


def default_tax(session: Session) -> int | None:
    """Return the tax of products that name none."""
    return session.scalar(select(Tax.id).where(Tax.is_default, Tax.is_active))


def find_setup(session: Session, model: type[Described], reference: Reference) -> int | None:
    """Return the key of what the reference names: a number is a key, a text is a name or a unit's code."""
    session.flush()
    query = select(model.id)
    if model is Tax:
        query = query.where(Tax.is_active)
    if isinstance(reference, int):
        return session.scalar(query.where(model.id == reference))
    name = reference.strip()
    named: Any = model
    code: Any = Unit.code if model is Unit else named.name
    exact = session.scalar(query.where(code == name))
    alike = (func.lower(code) == name.lower()) | (func.lower(named.name) == name.lower())
    return exact or session.scalar(query.where(alike).order_by(model.id).limit(1))


def _check(session: Session, row: Base) -> None:
    with session.no_autoflush:
        if isinstance(row, Category):
            _require_free(session, row, Category.name, row.name, "name")
            _check_parent(session, row)
        elif isinstance(row, Unit):
            _require_free(session, row, Unit.code, row.code, "code")
            _check_precision(session, row)
        elif isinstance(row, Tax):
            _require_free(session, row, Tax.name, row.name, "name")
            if row.is_default:
                others = update(Tax).where(Tax.is_default)
                session.execute(others.where(Tax.id != row.id) if row.id else others, {"is_default": False})


def _require_free(session: Session, row: Any, column: Any, value: str, field: str) -> None:
    holder = session.scalar(select(type(row).id).where(column == value))
    if holder is not None and holder != row.id:
        raise Conflict(
            f"There is a {_NAMES[type(row)]} {value} already.",
            code="duplicate-name",
            errors=[{"field": field, "message": "Taken already."}],
        )


def _check_parent(session: Session, category: Category) -> None:
    seen = {category.id}
    parent_id = category.parent_id
    while parent_id is not None:
        if parent_id in seen:
            raise ValidationFailed.at("parent_id", "A category cannot be below itself.")
        seen.add(parent_id)
        parent = session.get(Category, parent_id)
        if parent is None:
            raise ValidationFailed.at("parent_id", f"There is no category {parent_id}.")
        parent_id = parent.parent_id


def _check_precision(session: Session, unit: Unit) -> None:
    """Refuse a coarser precision while products with stock use the unit: half a piece would be left over."""
    if unit.id is None:
        return
    finer = (
        select(Variant.product_id)
        .join(StockLevel, StockLevel.variant_id == Variant.id)
        .join(Product, Product.id == Variant.product_id)
        .where(Product.unit_id == unit.id, StockLevel.on_hand % Decimal(10) ** -unit.precision != 0)
    )
    left_over = session.scalar(finer.limit(1))
    if left_over is not None:
        raise Conflict(
            f"Product {left_over} has stock in smaller parts than that.",
            code="unit-in-use",
            errors=[{"field": "precision", "message": "Stock in smaller parts exists."}],
        )


def _saved(session: Session, action: str, row: Any, before: dict[str, Any] | None) -> None:
    try:
        session.flush()
    except IntegrityError as error:
        raise RetryTransaction from error  # somebody took the name meanwhile; the next attempt sees it
    name = _NAMES[type(row)]
    audit(session, action, name, row.id, before=before, after=setup_answer(row))
    bump_epoch(session)
