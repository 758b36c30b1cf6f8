"""Why a product is not sold: each reason has a message and a code of its own, wherever it is met."""

import pytest


@pytest.fixture
def goods(client, make):
    """An unknown product, one by variant, and one that waits for its approval, with the code of its refusal."""
    shirt = make.product(name="Shirt", variants=[{"name": "S"}])
    waiting = make.product(name="Mug", as_="supplier")
    return {"unknown-product": 999_999, "variant-needed": shirt.id, "not-approved": waiting.id}


WORDS = {
    "unknown-product": ("product_id", "There is no such product."),
    "variant-needed": ("variant_id", "Shirt is sold by variant; name one."),
    "not-approved": ("product_id", "Mug is not approved yet."),
}


@pytest.mark.parametrize("code", WORDS)
class TestWhyNot:
    @pytest.mark.parametrize("name", ["product_id", "product"])
    def test_sale_and_quote(self, client, make, goods, code, name):
        body = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
        body["items"] = [{name: goods[code], "quantity": 1}]
        field, words = WORDS[code]
        field = name if field == "product_id" else field
        for path in ("/api/sales", "/api/sales/quote"):
            refused = client.post(path, body, as_="cashier")
            assert (refused.status_code, refused.json["code"]) == (422, code)
            assert refused.json["errors"] == [{"field": f"items.0.{field}", "message": words}]

    def test_stock_document(self, client, make, goods, code):
        line = {"product_id": goods[code], "quantity": 1}
        body = {"warehouse": make.main, "reason": "Found", "lines": [line]}
        neighbour = make.user("supplier")
        field, words = WORDS[code]
        for kind in ("receipts", "adjustments"):
            refused = client.post(f"/api/inventory/{kind}", body, as_=neighbour)
            assert (refused.status_code, refused.json["code"]) == (422, code)
            assert refused.json["errors"] == [{"field": f"lines.0.{field}", "message": words}]


def test_who_works_elsewhere_does_not_hear_of_what_was_never_approved(client, make, goods):
    stranger = make.user("supplier", warehouses=[make.other])
    body = {"channel": "counter", "warehouse": make.other, "payment_method": "cash"}
    body["items"] = [{"product_id": goods["not-approved"], "quantity": 1}]
    assert client.post("/api/sales", body, as_=stranger).json["code"] == "unknown-product"


def test_a_variant_of_another_product_is_unknown(client, make, goods):
    other = make.product(variants=[{"name": "L"}])
    body = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
    line = {"product_id": goods["variant-needed"], "variant_id": other.variants[0]["id"], "quantity": 1}
    refused = client.post("/api/sales", body | {"items": [line]})
    assert (refused.json["code"], refused.json["errors"][0]["field"]) == ("unknown-variant", "items.0.variant_id")


def test_an_offline_sale_of_what_is_pending_again_is_kept(client, make):
    """The device sold it while it was published: that has happened."""
    mug = make.product(as_="supplier", tracking="none")
    client.post(f"/api/products/{mug.id}/approve")
    client.patch(f"/api/products/{mug.id}", {"price": "99"}, as_="supplier")
    sale = {"external_id": "550e8400-e29b-41d4-a716-446655440000", "channel": "counter", "warehouse": make.main}
    sale |= {"client_timestamp": "2026-01-31T14:30:00Z", "payment_method": "cash", "source_device": "till-1"}
    sale["items"] = [{"product_id": mug.id, "quantity": 1, "unit_price": "10"}]
    answer = client.post("/api/sales/sync", {"sales": [sale]}, as_="cashier").json
    assert answer["results"][0]["status"] == "created", answer
