"""The changes with which a person accepts a refused document, made in the body that was sent."""

import copy
from collections.abc import Mapping
from typing import Any

from tillhook.db import format_instant
from tillhook.errors import DomainError, ValidationFailed

#: Changes that take the place of the member of the same name.
_MEMBERS = (
    "warehouse",
    "client_timestamp",
    "customer_id",
    "customer_name",
    "customer_phone",
    "customer_email",
    "discount_amount",
    "payment_method",
    "payments",
)
#: Changes of single items, and the members of the item that they set.
_ITEMS = {
    "prices": ("unit_price",),
    "products": ("product_id", "variant_id"),
    "quantities": ("quantity",),
}


def changed(body: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the body with the changes, and by field of it the field of the change.

    Raises:
        ValidationFailed: 422: a change of an item that there is not.
    """
    payload: dict[str, Any] = copy.deepcopy(dict(body))
    for name in changes["ignore"]:
        payload.pop(name, None)
    for name in _MEMBERS:
        if name in changes:
            payload[name] = _plain(changes[name])
    if "payment_method" in changes:
        payload.pop("payments", None)
    fields: dict[str, str] = {}
    items = payload.get("items")
    for change, members in _ITEMS.items():
        for number, asked in enumerate(changes[change]):
            position = asked["position"]
            if not isinstance(items, list) or position >= len(items) or not isinstance(items[position], dict):
                raise ValidationFailed.at(f"{change}.{number}.position", "There is no such item.")
            for member in members:
                items[position][member] = _plain(asked[member])
                fields[f"items.{position}.{member}"] = f"{change}.{number}.{member}"
            if change == "products":
                for other in ("product", "product_data"):
                    items[position].pop(other, None)
    return payload, fields


def named_as_asked(error: DomainError, fields: Mapping[str, str]) -> DomainError:
    """Return the error with its fields named as those of the request that changed them."""
    error.errors = [{**each, "field": fields.get(each["field"], each["field"])} for each in error.errors]
    return error


def _plain(value: Any) -> Any:
    """Return a loaded value as a body says it."""
    if isinstance(value, list):
        return [_tender(each) for each in value]
    if hasattr(value, "isoformat"):
        return format_instant(value)
    return value if value is None or isinstance(value, int | str) else f"{value:f}"


def _tender(tender: Any) -> dict[str, Any]:
    return {"method": tender.method, "amount": f"{tender.amount:f}", "reference": tender.reference}
