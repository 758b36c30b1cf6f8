"""What is not of the expected form is told which form that is."""

import pytest

UUID = "Not a UUID such as 550e8400-e29b-41d4-a716-446655440000."


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("external_id", "abc", UUID),
        ("external_id", 7, UUID),
        ("client_timestamp", "yesterday", "Not an instant of RFC 3339, with its offset, such as 2026-01-31T14:30:00Z."),
        ("warehouse", "main", "Not a whole number such as 12."),
        ("discount_amount", "a lot", 'Not a decimal number such as "12.50".'),
        ("items", {}, "Not a list, […]."),
        ("items.0.expiry_date", "31.12.2027", "Not a date, YYYY-MM-DD, such as 2026-01-31."),
        ("items.0.quantity", "two", 'Not a decimal number such as "12.50".'),
        ("items.0", "a mug", "Not an object, {…}."),
    ],
)
def test_sales(client, make, field, value, message):
    item = {"product_id": 1, "quantity": 1}
    body = {"channel": "counter", "items": [item]}
    if field == "items.0":
        body["items"] = [value]
    else:
        (item if field.startswith("items.0.") else body)[field.removeprefix("items.0.")] = value
    refused = client.post("/api/sales", body)
    assert refused.status_code == 422
    assert {"field": field, "message": message} in refused.json["errors"]


def test_roles_and_permissions(client):
    refused = client.post("/api/roles", {"name": "Big Boss", "permissions": ["everything"]}).json
    found = {error["field"]: error["message"] for error in refused["errors"]}
    assert found["permissions.0"] == "Not a permission such as sales:sale:post."
    assert found["name"].startswith("Not a role's name: a small letter")


def test_a_category_is_an_id_or_a_name(client):
    refused = client.post("/api/products", {"name": "A", "sku": "A", "price": 1, "category": ["Tea"]}).json
    assert refused["errors"] == [{"field": "category", "message": "Neither an id, such as 12, nor a name."}]
