"""Bodies of sales that have happened: what nobody knows in them stops nothing."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from marshmallow import Schema, ValidationError, fields

from tillhook.sales.commands import SaleCommand, SaleWarning, SentTotals, as_json
from tillhook.sales.schemas import SaleIn

_SALE_IN = SaleIn()
#: A sale with more members that nobody knows is no sale.
_MOST = 100


def read_body(body: Any) -> SaleCommand:
    """Return the command that a body says; what it says besides is in ``warnings``, and all of it in ``payload``.

    Raises:
        ValidationError: What is known of it cannot be read.
    """
    command: SaleCommand
    try:
        command = _SALE_IN.load(body)
    except ValidationError:
        known, warnings = _sift(body)
        if not warnings:
            raise
        if len(warnings) > _MOST:
            raise ValidationError(f"More than {_MOST} members are not known here.") from None
        command = _SALE_IN.load(known)
        return replace(command, payload=body, warnings=warnings)
    return command


def unknown_members(body: Any) -> tuple[SaleWarning, ...]:
    """Return the members of a body that no sale has, 100 at most, and totals of the client's that are no amounts."""
    return _sift(body)[1][:_MOST]


def _sift(body: Any) -> tuple[Any, tuple[SaleWarning, ...]]:
    """Return a copy of a body without what stops nothing, and that."""
    warnings: list[SaleWarning] = []
    known = _known(_SALE_IN, body, "", warnings)
    for name in SentTotals._fields if isinstance(known, dict) else ():
        try:
            _SALE_IN.load_fields[name].deserialize(known.get(name))
        except ValidationError:
            warnings.append(SaleWarning(name, "Not an amount; kept as it was sent.", as_json(known.pop(name))))
    return known, tuple(warnings)


def _known(schema: Schema, body: Any, path: str, warnings: list[SaleWarning]) -> Any:
    """Return a copy of a body without members that its schema does not have, which are added to ``warnings``."""
    if not isinstance(body, Mapping):
        return body
    known = {}
    for name, value in body.items():
        field, where = schema.load_fields.get(name), f"{path}{name}"
        if field is None:
            # With more it is refused, whatever they are.
            if len(warnings) <= _MOST:
                warnings.append(SaleWarning(where, "Not known here; kept as it was sent.", as_json(value)))
        elif isinstance(field, fields.Nested):
            known[name] = _known(field.schema, value, f"{where}.", warnings)
        elif isinstance(field, fields.List) and isinstance(field.inner, fields.Nested) and isinstance(value, list):
            inner = field.inner.schema
            known[name] = [_known(inner, each, f"{where}.{number}.", warnings) for number, each in enumerate(value)]
        else:
            known[name] = value
    return known
