"""Products over HTTP: who may do what, and what comes of it."""

from decimal import Decimal

import pytest

from tillhook.testing import plug


def codes(answer):
    return answer.status_code, answer.json["code"], [error["field"] for error in answer.json.get("errors", ())]


class TestCreate:
    def test_an_admin_publishes_and_a_supplier_waits(self, client, make):
        body = {"name": "Mug", "sku": "MUG-1", "price": "9.5", "cost_price": 4, "barcode": "4006381333931"}
        made = client.post("/api/products", body)
        assert made.status_code == 201
        product = made.json
        assert product["status"] == "published"
        assert (product["price"], product["cost_price"]) == ("9.50", "4.00")
        assert (product["barcode"], product["barcodes"]) == ("4006381333931", ["4006381333931"])
        assert (product["tracking"], product["price_mode"], product["inventory"]) == ("quantity", "bounded", "0")
        assert product["variants"] == []
        assert make.product(as_="supplier").status == "pending"

    def test_untracked_products_have_no_inventory(self, make):
        assert make.product(tracking="none").inventory is None

    def test_cost_is_absent_without_its_permission(self, client, make):
        product = make.product(cost_price="4")
        assert "cost_price" not in client.get(f"/api/products/{product.id}", as_="cashier").json
        assert client.get(f"/api/products/{product.id}", as_="accountant").json["cost_price"] == "4.00"

    def test_sku_and_barcode_are_taken_once(self, client, make):
        make.product(sku="A", barcode="036000291452")
        again = client.post("/api/products", {"name": "B", "sku": "A", "price": 1})
        assert codes(again) == (409, "duplicate-sku", ["sku"])
        same = client.post("/api/products", {"name": "B", "sku": "B", "price": 1, "barcode": "0036000291452"})
        assert codes(same) == (409, "duplicate-barcode", ["barcode"])

    def test_category_unit_and_tax_by_key_or_name(self, client, make):
        tax, unit = make.tax(name="VAT"), make.unit("kg", precision=3)
        product = make.product(category="Tea", unit="kg", tax="VAT")
        assert (product.category, product.unit, product.tax) == ("Tea", "kg", "VAT")
        by_key = make.product(category=product.category_id, unit=unit.id, tax=tax.id)
        assert (by_key.category, by_key.unit, by_key.tax) == ("Tea", "kg", "VAT")
        body = {"name": "B", "sku": "B", "price": 1}
        assert codes(client.post("/api/products", body | {"tax": "none"}))[1:] == ("unknown-tax", ["tax"])
        refused = client.post("/api/products", body | {"category": "New"}, as_="supplier")
        assert codes(refused) == (422, "unknown-category", ["category"])

    def test_a_default_tax_is_for_products_that_name_none(self, client, make):
        first = make.tax(name="First", is_default=True)
        second = make.tax(name="Second", is_default=True)
        assert make.product().tax == "Second"
        taxes = {tax["id"]: tax["is_default"] for tax in client.get("/api/taxes").json["items"]}
        assert (taxes[first.id], taxes[second.id]) == (False, True)

    def test_variants(self, client, make):
        shirt = make.product(
            price="25",
            variants=[{"sku": "S", "name": "Small", "barcode": "4006381333931"}, {"name": "Large", "price": 27}],
        )
        small, large = shirt.variants
        assert (small["sku"], small["price"], small["barcode"]) == ("S", "25.00", "4006381333931")
        assert (large["sku"], large["price"], large["barcode"]) == ("", "27.00", "")
        double = client.post(
            "/api/products", {"name": "B", "sku": "B", "price": 1, "variants": [{"sku": "X"}, {"sku": "X"}]}
        )
        assert codes(double) == (409, "duplicate-sku", ["variants.1.sku"])
        both = client.post("/api/products", {"name": "B", "sku": "B", "price": 1, "barcode": "1", "variants": [{}]})
        assert codes(both)[0::2] == (422, ["barcode"])

    @pytest.mark.parametrize("engine_name", ["sqlite"])
    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("price", "-1"),
            ("price", "NaN"),
            ("price", "1e5"),
            ("price", 1e30),
            ("price", True),
            ("price", "1.00001"),
            ("price", None),
            ("name", ""),
            ("name", "x" * 300),
            ("name", 7),
            ("sku", "a\x00b"),
            ("category", -1),
            ("category", 2**70),
            ("tracking", "serial"),
            ("price_mode", "free"),
            ("low_stock_threshold", -1),
            ("attributes", []),
            ("variants", {}),
            ("status", "published"),
            ("barcodes", "1"),
        ],
    )
    def test_bad_fields_are_named_and_change_nothing(self, client, runtime, field, value):
        answer = client.post("/api/products", {"name": "A", "sku": "A", "price": 1, field: value})
        assert answer.status_code == 422
        assert answer.json["errors"][0]["field"].split(".")[0] == field
        with runtime.database.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM product").scalar() == 0


class TestContract:
    """What API.md says of the catalogue, field by field."""

    FULL = {
        "name": "Mug",
        "sku": "MUG",
        "barcode": "4006381333931",
        "category": "Household",
        "unit": "pcs",
        "price": "9.50",
        "cost_price": "4.00",
        "list_price": "12.00",
        "description": "Blue",
        "attributes": {"colour": "blue", "material": "clay", "size": "L"},
        "tracking": "lot",
        "price_mode": "list",
        "low_stock_threshold": "3",
        "tax": "VAT",
    }

    def test_every_field_comes_back(self, client, make):
        make.tax(name="VAT")
        made = client.post("/api/products", self.FULL)
        assert made.status_code == 201 and {name: made.json[name] for name in self.FULL} == self.FULL

    def test_defaults_and_what_is_absent(self, client, make):
        product = client.post("/api/products", {"name": "A", "sku": "A", "price": 1}).json
        assert (product["tracking"], product["price_mode"], product["unit"]) == ("quantity", "bounded", "pcs")
        for text in ("barcode", "description", "reject_reason"):
            assert product[text] == ""
        for reference in ("category", "category_id", "tax", "tax_id", "list_price", "low_stock_threshold"):
            assert product[reference] is None
        # What was answered can be sent again.
        again = {name: product[name] for name in self.FULL}
        answer = client.put(f"/api/products/{product['id']}", again)
        assert answer.status_code == 200 and {name: answer.json[name] for name in again} == again

    def test_the_count_over_all_pages(self, client, make):
        for _ in range(3):
            make.product()
        make.product(tracking="none")
        listed = client.get("/api/products", params={"count": "true", "limit": 1, "tracked": "true"}).json
        assert (len(listed["items"]), listed["count"]) == (1, 3)
        assert "count" not in client.get("/api/products").json

    def test_only_what_is_no_json_is_400(self, client):
        def post(raw):
            headers = {"Content-Type": "application/json"}
            answer = client.request("POST", "/api/products", body=raw, headers=headers, as_="admin")
            return answer.status_code

        assert [post(raw) for raw in (b"{", b'{"name": NaN}', b"\xff")] == [400] * 3
        start = b'{"sku": "A", "price": 1, "name": '
        for raw in (b"[]", b"null", b"1", start + b'"a\\u0000"}', start + b'"\\ud800"}', start + b'"a", "sku": "B"}'):
            assert post(raw) == 422, raw


class TestVisibility:
    def test_a_supplier_sees_published_products_and_the_own(self, client, make):
        published, own = make.product(), make.product(as_="supplier")
        other = make.product(as_=make.user("supplier"))
        seen = {product["id"] for product in client.get("/api/products", as_="supplier").json["items"]}
        assert seen == {published.id, own.id}
        assert client.get(f"/api/products/{other.id}", as_="supplier").status_code == 404
        assert client.patch(f"/api/products/{other.id}", {"name": "Mine"}, as_="supplier").status_code == 404
        refused = client.patch(f"/api/products/{published.id}", {"name": "Mine"}, as_="supplier")
        assert codes(refused)[:2] == (403, "not-your-product")
        assert refused.json["roles"] == ["admin"]
        assert client.patch(f"/api/products/{own.id}", {"name": "Mine"}, as_="supplier").status_code == 200

    def test_inventory_is_of_the_own_warehouses(self, client, make):
        product = make.product(stock={make.main: 3, make.other: 4})
        assert client.get(f"/api/products/{product.id}").json["inventory"] == "7"
        assert client.get(f"/api/products/{product.id}", as_="supplier").json["inventory"] == "3"


class TestChange:
    def test_patch_changes_what_it_names(self, client, make):
        product = make.product(barcode="111", description="Old", cost_price=3)
        answer = client.patch(f"/api/products/{product.id}", {"price": "12", "barcode": "222"}).json
        assert (answer["price"], answer["barcodes"]) == ("12.00", ["222"])
        assert (answer["description"], answer["cost_price"]) == ("Old", "3.00")
        assert client.patch(f"/api/products/{product.id}", {"barcode": None}).json["barcodes"] == []

    def test_put_replaces(self, client, make):
        product = make.product(description="Old", cost_price=3, category="Tea")
        body = {"name": "New", "sku": product.sku, "price": 5}
        answer = client.put(f"/api/products/{product.id}", body).json
        assert (answer["name"], answer["description"], answer["category"]) == ("New", "", None)
        assert answer["cost_price"] is None
        assert client.put(f"/api/products/{product.id}", {"name": "New"}).status_code == 422

    def test_tracking_changes_only_without_stock(self, client, make):
        product = make.product(stock=3)
        assert codes(client.patch(f"/api/products/{product.id}", {"tracking": "none"}))[:2] == (
            409,
            "stock-on-hand",
        )
        client.put(f"/api/products/{product.id}/inventory", {"inventory": 0, "warehouse": make.main})
        assert client.patch(f"/api/products/{product.id}", {"tracking": "none"}).json["inventory"] is None

    def test_delete_archives_what_has_a_history(self, client, make):
        fresh, moved = make.product(), make.product(stock=3)
        assert client.delete(f"/api/products/{fresh.id}").status_code == 204
        assert client.get(f"/api/products/{fresh.id}").status_code == 404
        archived = client.delete(f"/api/products/{moved.id}")
        assert (archived.status_code, archived.json["status"]) == (200, "archived")
        assert moved.id not in {product["id"] for product in client.get("/api/products").json["items"]}
        assert codes(client.patch(f"/api/products/{moved.id}", {"name": "B"}))[:2] == (409, "product-archived")
        assert client.post(f"/api/products/{moved.id}/restore").json["status"] == "published"

    def test_every_write_is_audited_and_told(self, client, make, runtime):
        product = make.product(price=1)
        client.patch(f"/api/products/{product.id}", {"price": 2})
        with runtime.database.connect() as connection:
            names = connection.exec_driver_sql("SELECT name FROM outbox ORDER BY id").scalars().all()
            actions = connection.exec_driver_sql("SELECT action FROM audit_entry WHERE entity = 'product' ORDER BY id")
            assert actions.scalars().all() == ["create", "update"]
        assert [name for name in names if name in ("product:created", "product:updated")] == [
            "product:created",
            "product:updated",
        ]


class TestApproval:
    def test_the_steps(self, client, make):
        product = make.product(as_="supplier")
        path = f"/api/products/{product.id}"
        assert client.post(f"{path}/approve", as_="supplier").status_code == 403
        assert client.post(f"{path}/reject", {}).status_code == 422
        rejected = client.post(f"{path}/reject", {"reason": "No picture"}).json
        assert (rejected["status"], rejected["reject_reason"]) == ("rejected", "No picture")
        assert codes(client.post(f"{path}/approve"))[:2] == (409, "illegal-step")
        assert client.patch(path, {"name": "Better"}, as_="supplier").json["status"] == "pending"
        assert client.post(f"{path}/approve").json["status"] == "published"
        assert codes(client.post(f"{path}/approve"))[:2] == (409, "illegal-step")
        assert codes(client.post(f"{path}/reject", {"reason": "x"}))[:2] == (409, "illegal-step")


class TestVariants:
    def test_add_and_change(self, client, make):
        product = make.product()
        path = f"/api/products/{product.id}/variants"
        added = client.post(path, {"sku": "V1", "name": "Red", "barcode": "777"})
        assert (added.status_code, added.json["barcodes"]) == (201, ["777"])
        changed = client.patch(f"{path}/{added.json['id']}", {"price": "3", "is_active": False}).json
        assert (changed["price"], changed["is_active"]) == ("3.00", False)
        assert codes(client.post(path, {"sku": "V1"}))[:2] == (409, "duplicate-sku")
        assert client.patch(f"{path}/999999", {"name": "x"}).status_code == 404
        answer = client.get(f"/api/products/{product.id}").json
        assert [variant["sku"] for variant in answer["variants"]] == ["V1"]
        assert answer["default_variant_id"] is None

    def test_a_hook_is_told_and_cannot_change_what_was_saved(self, client, make, runtime):
        told = []
        plug(runtime, product_saved=lambda session, product: told.append(product))
        product = make.product(price="2.50", attributes={"colour": "red"})
        client.patch(f"/api/products/{product.id}", {"price": "3"})
        assert [(each.id, each.is_new, each.price) for each in told] == [
            (product.id, True, Decimal("2.5")),
            (product.id, False, Decimal(3)),
        ]
        with pytest.raises(AttributeError):
            told[0].price = 1
        with pytest.raises(TypeError):
            told[0].attributes["colour"] = "blue"

    def test_variants_without_a_sku_keep_their_barcodes(self, make):
        product = make.product(variants=[{"name": "Red"}, {"name": "Blue", "barcode": "B-1"}, {"name": "Green"}])
        assert [(each["name"], each["barcode"]) for each in product["variants"]] == [
            ("Red", ""),
            ("Blue", "B-1"),
            ("Green", ""),
        ]

    def test_stock_without_variant_is_in_the_way(self, client, make):
        stocked, coded = make.product(stock=2), make.product(barcode="888")
        answer = client.post(f"/api/products/{stocked.id}/variants", {"name": "Red"})
        assert codes(answer)[:2] == (409, "stock-on-hand")
        answer = client.post(f"/api/products/{coded.id}/variants", {"name": "Red"})
        assert codes(answer)[:2] == (409, "product-has-barcodes")


class TestBarcodes:
    def test_add_list_and_remove(self, client, make):
        product = make.product()
        path = f"/api/products/{product.id}/barcodes"
        added = client.post(path, {"code": " 0036000291452 ", "pack_quantity": 6})
        assert added.status_code == 201
        assert (added.json["code"], added.json["kind"], added.json["pack_quantity"]) == (
            "0036000291452",
            "ean13",
            "6",
        )
        assert codes(client.post(path, {"code": "036000291452"})) == (409, "duplicate-barcode", ["code"])
        found = client.get("/api/products", params={"barcode": "036000291452"}).json["items"]
        assert [each["id"] for each in found] == [product.id]
        assert client.delete(f"{path}/{added.json['id']}").status_code == 204
        assert client.delete(f"{path}/{added.json['id']}").status_code == 404
        assert client.get(path).json["items"] == []


class TestList:
    def test_search_folds_case_and_takes_no_wildcards(self, client, make):
        mug = make.product(name="Émaille-Becher 100%", sku="EB_1", barcode="4006381333931")
        make.product(name="Emaille Teller", sku="EBX1")

        def found(search):
            return [each["id"] for each in client.get("/api/products", params={"search": search}).json["items"]]

        assert found("émaille") == found("ÉMAILLE") == [mug.id]
        assert found("100%") == [mug.id]
        assert found("eb_1") == [mug.id]
        assert found("becher 333931") == [mug.id]
        assert found("becher teller") == []

    def test_filters_and_pages(self, client, make):
        category = make.category("Drinks")
        below = make.category("Tea", parent_id=category.id)
        made = [make.product(category=below.id, name=name, tracking="none") for name in "abc"]
        make.product()
        seen, cursor = [], None
        while True:
            params = {"category": "Drinks", "limit": 2, "ordering": "name", **({"cursor": cursor} if cursor else {})}
            answer = client.get("/api/products", params=params).json
            seen += [each["id"] for each in answer["items"]]
            cursor = answer["next_cursor"]
            if cursor is None:
                break
        assert seen == [each.id for each in made]
        assert len(client.get("/api/products", params={"tracked": "true"}).json["items"]) == 1
        assert client.get("/api/products", params={"sku": made[0].sku}).json["items"][0]["id"] == made[0].id
        assert client.get("/api/products", params={"status": "gone"}).status_code == 422


class TestInventory:
    def test_set_and_expected(self, client, make):
        product = make.product(stock=3, as_="supplier")
        path = f"/api/products/{product.id}/inventory"
        body = {"inventory": 50, "warehouse": make.main}
        assert client.put(path, body | {"expected": 2}).status_code == 409
        assert client.put(path, body | {"expected": 3}).json["inventory"] == "50"
        assert client.put(path, {"inventory": 1}).status_code == 422
        assert client.put(path, {"inventory": 1}, as_="supplier").json["inventory"] == "1"
        assert client.put(path, {"inventory": -1, "warehouse": make.main}).status_code == 422
        assert client.put(path, {"inventory": 1, "warehouse": make.other}, as_="supplier").status_code == 403

    def test_null_stops_tracking_and_a_number_starts_it(self, client, make):
        product = make.product(stock={make.main: 3, make.other: 4})
        path = f"/api/products/{product.id}/inventory"
        stopped = client.put(path, {"inventory": None}).json
        assert (stopped["tracking"], stopped["inventory"]) == ("none", None)
        assert make.stock(product, make.main) == make.stock(product, make.other) == 0
        started = client.put(path, {"inventory": 5, "warehouse": make.main}).json
        assert (started["tracking"], started["inventory"]) == ("quantity", "5")

    def test_low_stock_is_strictly_below(self, client, make):
        at, below = make.product(stock=10), make.product(stock=9)
        own = make.product(stock=15, low_stock_threshold=20)
        make.product(tracking="none")

        def low(**params):
            pages = []
            for ordering in ("id", "-name", "inventory"):
                asked = {"ordering": ordering, "count": "true", **params}
                answer = client.get("/api/products/low-stock", params=asked).json
                pages.append({each["id"] for each in answer["items"]})
                assert answer["count"] == len(answer["items"]) == len(pages[0])
            assert pages[0] == pages[1] == pages[2]
            assert "count" not in client.get("/api/products/low-stock", params=params).json
            return pages[0]

        assert low() == {below.id, own.id}
        assert low(threshold="11") == {at.id, below.id}
        assert low(threshold="0") == set()

    def test_a_threshold_opens_and_resolves_the_alert(self, client, make):
        product = make.product(stock=15)
        for threshold, count in ((20, 1), (15, 0)):
            client.patch(f"/api/products/{product.id}", {"low_stock_threshold": threshold})
            assert len(client.get("/api/inventory/alerts", params={"status": "open"}).json["items"]) == count


class TestSetup:
    def test_names_are_taken_once(self, client, make):
        make.category("Tea")
        assert codes(client.post("/api/categories", {"name": "Tea"})) == (409, "duplicate-name", ["name"])
        make.unit("kg")
        assert codes(client.post("/api/units", {"code": "kg"}))[2] == ["code"]
        assert client.post("/api/categories", {"name": "X"}, as_="supplier").status_code == 403

    def test_a_category_is_not_below_itself(self, client, make):
        parent = make.category()
        child = make.category(parent_id=parent.id)
        answer = client.patch(f"/api/categories/{parent.id}", {"parent_id": child.id})
        assert codes(answer)[0::2] == (422, ["parent_id"])

    def test_rates_are_fractions(self, client, make):
        tax = make.tax("0.055")
        assert tax.rate == "0.055"
        assert client.patch(f"/api/taxes/{tax.id}", {"rate": "20"}).status_code == 422
        assert client.patch("/api/taxes/999999", {"rate": "0.2"}).status_code == 404

    def test_precision_stays_as_fine_as_the_stock(self, client, make):
        unit = make.unit("kg", precision=3)
        make.product(unit="kg", stock="0.5")
        answer = client.patch(f"/api/units/{unit.id}", {"precision": 0})
        assert codes(answer) == (409, "unit-in-use", ["precision"])
