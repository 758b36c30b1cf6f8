"""What an owner may change of a product that was approved, and what goes back to be looked at."""

import pytest


@pytest.fixture
def mug(client, make):
    """A product of the supplier's that was approved at 10.00."""
    product = make.product(as_="supplier", name="Mug")
    assert client.post(f"/api/products/{product.id}/approve").json["status"] == "published"
    return product


def change(client, product, **fields):
    answer = client.patch(f"/api/products/{product.id}", fields, as_="supplier")
    assert answer.status_code == 200, answer.json
    return answer.json["status"], answer.json["needs_approval"]


class TestOwnersPrices:
    @pytest.mark.parametrize("price", ["0.01", "7.99", "12.01", "1000"])
    def test_a_price_beyond_the_limit_is_pending_again(self, client, mug, price):
        assert change(client, mug, price=price) == ("pending", ["price"])
        refused = client.post(f"/api/products/{mug.id}/approve", as_="supplier")
        assert refused.status_code == 403
        # Who approves it sees why; what is approved is what the next change is measured against.
        assert client.get(f"/api/products/{mug.id}").json["needs_approval"] == ["price"]
        approved = client.post(f"/api/products/{mug.id}/approve").json
        assert (approved["status"], approved["needs_approval"]) == ("published", [])
        assert change(client, mug, price=price) == ("published", [])

    def test_small_steps_are_measured_against_what_was_approved(self, client, mug):
        assert change(client, mug, price="9.00") == ("published", [])
        assert change(client, mug, price="8.00") == ("published", [])
        assert change(client, mug, price="7.50") == ("pending", ["price"])

    def test_put_is_no_way_round(self, client, mug):
        body = {"name": "Mug", "sku": mug.sku, "price": "0.01"}
        answer = client.put(f"/api/products/{mug.id}", body, as_="supplier")
        assert (answer.json["status"], answer.json["needs_approval"]) == ("pending", ["price"])

    def test_a_list_price_is_a_price(self, client, make):
        mug = make.product(as_="supplier", list_price="12")
        client.post(f"/api/products/{mug.id}/approve")
        assert change(client, mug, list_price="14") == ("published", [])
        assert change(client, mug, list_price=None) == ("published", [])
        assert change(client, mug, list_price="99") == ("pending", ["list_price"])

    def test_where_there_was_no_list_price_it_is_compared_with_the_price(self, client, mug):
        assert change(client, mug, list_price="12") == ("published", [])
        assert change(client, mug, list_price="50") == ("pending", ["list_price"])

    def test_what_a_price_is_for_needs_approval_too(self, client, make, mug):
        tax = make.tax()
        kilo = make.unit("kilo")
        for fields, why in (
            ({"price_mode": "open"}, "price_mode"),
            ({"tax": tax.id}, "tax_id"),
            ({"unit": kilo.id}, "unit_id"),
            ({"name": "Crystal glass"}, "name"),
        ):
            assert change(client, mug, **fields) == ("pending", [why])
            client.post(f"/api/products/{mug.id}/approve")
        changes = {"description": "Blue", "low_stock_threshold": 3, "cost_price": 4, "attributes": {"colour": "blue"}}
        assert change(client, mug, **changes, barcode="123") == ("published", [])

    def test_an_admins_change_is_approved(self, client, mug):
        assert client.patch(f"/api/products/{mug.id}", {"price": "3"}).json["status"] == "published"
        assert change(client, mug, price="3.60") == ("published", [])
        assert change(client, mug, price="10") == ("pending", ["price"])

    def test_the_setting_says_how_far(self, client, mug):
        client.patch("/api/settings", {"catalogue.owner_price_change": "0.5"})
        assert change(client, mug, price="5") == ("published", [])
        client.patch("/api/settings", {"catalogue.owner_price_change": "0"})
        assert change(client, mug, price="9.99") == ("pending", ["price"])

    def test_pending_again_is_for_sale_at_the_sellers_own_till_only(self, client, make, mug):
        change(client, mug, price="0.01", tracking="none")
        body = {"channel": "counter", "warehouse": make.main, "payment_method": "cash"}
        body["items"] = [{"product_id": mug.id, "quantity": 1}]
        assert client.post("/api/sales", body, as_="supplier").status_code == 201
        refused = client.post("/api/sales", body, as_="cashier")
        assert (refused.status_code, refused.json["code"]) == (422, "not-approved")


class TestOwnersVariants:
    @pytest.fixture
    def shirt(self, client, make):
        variants = [{"name": "S"}, {"name": "L", "price": "12"}]
        product = make.product(as_="supplier", variants=variants)
        client.post(f"/api/products/{product.id}/approve")
        return product

    def test_a_variants_price_is_measured_by_itself(self, client, shirt):
        small, large = shirt.variants
        path = f"/api/products/{shirt.id}/variants"
        kept = client.patch(f"{path}/{large['id']}", {"price": "14"}, as_="supplier").json
        assert (kept["price"], kept["product_status"]) == ("14.00", "published")
        gone = client.patch(f"{path}/{small['id']}", {"price": "0.01"}, as_="supplier").json
        assert (gone["price"], gone["product_status"]) == ("0.01", "pending")
        assert client.get(f"/api/products/{shirt.id}").json["needs_approval"] == ["variants"]

    def test_a_variant_that_falls_back_to_the_products_price(self, client, make):
        product = make.product(as_="supplier", price="100", variants=[{"name": "S", "price": "5"}])
        client.post(f"/api/products/{product.id}/approve")
        path = f"/api/products/{product.id}/variants/{product.variants[0]['id']}"
        assert client.patch(path, {"price": None}, as_="supplier").json["product_status"] == "pending"

    def test_a_new_variant_is_measured_against_the_product(self, client, shirt):
        path = f"/api/products/{shirt.id}/variants"
        fine = client.post(path, {"name": "M", "price": "9"}, as_="supplier").json
        assert fine["product_status"] == "published"
        cheap = client.post(path, {"name": "XS", "price": "0.01"}, as_="supplier").json
        assert cheap["product_status"] == "pending"


def test_an_import_is_no_way_round(client, make, upload):
    make.post("/api/roles", {"name": "importer", "permissions": ["catalogue:product:import"]})
    owner = make.user("supplier", roles=["supplier", "importer"])
    mug = make.product(as_=owner)
    client.post(f"/api/products/{mug.id}/approve")
    answer = upload("/api/products/import", f"sku,price\n{mug.sku},0.01\n".encode(), as_=owner)
    assert answer.status_code == 200, answer.json
    assert [each["row"] for each in answer.json["warnings"]] == [2]
    assert client.get(f"/api/products/{mug.id}").json["status"] == "pending"
