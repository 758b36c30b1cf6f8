"""Who moved goods, why and by which document: movements, stock documents, alerts and the audit log say it."""

from datetime import timedelta
from decimal import Decimal

import pytest

from tillhook import ledger
from tillhook.db import format_instant, utc_now
from tillhook.hooks import DocumentFacts, DocumentType
from tillhook.ledger import Document, StockLine

EXPIRY = "2149-01-01"


def listed(client, path, **params):
    """Return all items, two to a page."""
    items, cursor = [], None
    while True:
        answer = client.get(path, params={"limit": "2", **params, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, answer.text
        items, cursor = items + answer.json["items"], answer.json["next_cursor"]
        if cursor is None:
            return items


def post(client, what, as_="admin", **body):
    answer = client.post(f"/api/inventory/{what}s", body, as_=as_)
    assert answer.status_code == 201, answer.text
    return answer.json


@pytest.fixture
def me(client):
    return client.get("/api/auth/me").json["user"]


@pytest.fixture
def books(client, make):
    """Return documents of every kind, by kind, and the goods that they moved."""
    milk, pen = make.product(tracking="lot", name="Milk"), make.product(name="Pen", stock=20)
    lot = {"product_id": milk.id, "quantity": 9, "batch_number": "L1", "expiry_date": EXPIRY, "unit_cost": "2.00"}
    receipt = post(client, "receipt", as_="supplier", warehouse=make.main, reason="Delivery 7", lines=[lot])
    less = [{"product_id": milk.id, "quantity": -2}, {"product_id": pen.id, "quantity": 3}]
    adjustment = post(client, "adjustment", warehouse=make.main, reason="Broken", lines=less)
    lines = [{"product_id": milk.id, "quantity": 4}]
    transfer = post(client, "transfer", from_warehouse=make.main, to_warehouse=make.other, lines=lines)
    counted = [{"product_id": pen.id, "quantity": 22}, {"product_id": milk.id, "quantity": 3, "batch_number": "L1"}]
    count = post(client, "count", warehouse=make.main, reason="Inventory", lines=counted)
    return {"receipt": receipt, "adjustment": adjustment, "transfer": transfer, "count": count}, milk, pen


def test_a_movement_says_who_why_and_by_which_document(client, make, me, books):
    documents, milk, _ = books
    sale = make.sale([(milk, 1)], as_="cashier")
    cancelled = client.post(f"/api/sales/{sale.id}/cancel", {"reason": "Wrong article"}).json
    cashier = client.get("/api/auth/me", as_="cashier").json["user"]
    supplier = client.get("/api/auth/me", as_="supplier").json["user"]
    found = {row["document"]["type"]: row for row in listed(client, "/api/inventory/movements", product=milk.id)}
    assert {kind: row["document"] for kind, row in found.items()} == {
        "sale": {"type": "sale", "id": sale.id, "number": sale.sale_number, "link": f"/api/sales/{sale.id}"},
        "cancellation": found["cancellation"]["document"],
        **{
            kind: {
                "type": kind,
                "id": documents[kind]["id"],
                "number": documents[kind]["number"],
                "link": f"/api/inventory/documents/{documents[kind]['id']}",
            }
            for kind in ("receipt", "adjustment", "transfer")
        },
    }
    assert cancelled["is_cancelled"] and found["cancellation"]["document"]["number"]
    for each in found.values():
        if each["document"]["link"]:
            assert client.get(each["document"]["link"]).status_code == 200
        assert (each["batch_number"], each["expiry_date"], each["variant_id"]) == ("L1", EXPIRY, None)
    told = {kind: (row["person"], row["person_name"], row["reason"]) for kind, row in found.items()}
    assert told == {
        "sale": (cashier["id"], cashier["name"], ""),
        "cancellation": (me["id"], me["name"], "Wrong article"),
        "receipt": (supplier["id"], supplier["name"], "Delivery 7"),
        "adjustment": (me["id"], me["name"], "Broken"),
        "transfer": (me["id"], me["name"], ""),
    }
    names = {kind: (row["source_name"], row["destination_name"]) for kind, row in found.items()}
    assert names["transfer"] == ("Main shop", "Other shop") and names["sale"] == ("Main shop", "(customer)")


def test_movements_are_found_by_person_batch_and_number(client, make, me, books):
    documents, milk, pen = books
    sale = make.sale([(milk, 1), (pen, 1)], as_="cashier")
    path, everything = "/api/inventory/movements", listed(client, "/api/inventory/movements")
    for person in {each["person"] for each in everything}:
        assert listed(client, path, person=person) == [each for each in everything if each["person"] == person]
    assert len({each["person"] for each in everything}) == 3
    for batch, product in (("L1", milk), ("none", milk)):
        expected = [each for each in everything if each["batch_number"] == batch]
        assert listed(client, path, batch=batch) == listed(client, path, batch=batch, product=product.id) == expected
    assert len(listed(client, path, batch="L1")) == 4 and listed(client, path, batch="L1", product=pen.id) == []
    for number in (sale.sale_number, documents["transfer"]["number"]):
        rows = listed(client, path, document=number)
        assert rows and rows == [each for each in everything if each["document"]["number"] == number]
    assert listed(client, path, document="nothing") == listed(client, path, person=999_999) == []
    assert {row["document"]["type"] for row in listed(client, path, person=me["id"], product=pen.id)} == {
        "receipt",
        "adjustment",
        "count",
    }


@pytest.mark.parametrize("few", [1_000, 0])
def test_of_a_person_with_many_documents_the_same_is_found(client, make, books, monkeypatch, few):
    monkeypatch.setattr("tillhook.ledger.about.FEW", few)
    make.sale([(books[2], 1)], as_="cashier")
    for path in ("/api/inventory/movements", "/api/inventory/documents"):
        everything = listed(client, path)
        for person in {each["person"] for each in everything}:
            assert listed(client, path, person=person) == [each for each in everything if each["person"] == person]


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_plugin_names_its_documents_or_not(client, make, runtime, door, hooked):
    product, receipt = make.product(stock=5), Document("vendors.receipt", 5)
    door.issue((product, 1))
    row = client.get("/api/inventory/movements", params={"document_type": "invoicing.invoice"}).json["items"][0]
    assert row["document"] == {"type": "invoicing.invoice", "id": 17, "number": None, "link": None}
    assert (row["person"], row["person_name"], row["reason"]) == (None, "", "")
    facts = DocumentFacts(number="R-5", link="/api/extra/receipts/5", reason="Ordered", person_name="Van driver")
    types = {**runtime.registry.document_types}
    types["vendors.receipt"] = DocumentType(name="vendors.receipt", describe=lambda session, keys: {5: facts})
    runtime.registry.document_types = types
    door.receive(StockLine(product_id=product.id, quantity=Decimal(1)), document=receipt)
    row = client.get("/api/inventory/movements", params={"document_type": "vendors.receipt"}).json["items"][0]
    assert row["document"] == {"type": "vendors.receipt", "id": 5, "number": "R-5", "link": "/api/extra/receipts/5"}
    assert (row["person_name"], row["reason"]) == ("Van driver", "Ordered")


def test_documents_are_read_again(client, make, me, books):
    documents, _, _ = books
    everything = listed(client, "/api/inventory/documents")
    for kind, posted in documents.items():
        again = client.get(f"/api/inventory/documents/{posted['id']}")
        assert again.status_code == 200 and again.json == posted | {"lines": again.json["lines"]}
        assert [line["quantity"] for line in again.json["lines"]] == [line["quantity"] for line in posted["lines"]]
        assert again.json in everything and posted["kind"] == kind
        assert posted["link"] == f"/api/inventory/documents/{posted['id']}"
        assert posted["occurred_at"] and posted["recorded_at"] and posted["warehouse_name"] == "Main shop"
    assert [each["id"] for each in everything] == sorted((each["id"] for each in everything), reverse=True)
    (line,) = client.get(documents["receipt"]["link"]).json["lines"]
    assert "unit_cost" not in documents["receipt"]["lines"][0]  # of the supplier's answer
    assert (line["product_name"], line["variant_id"], line["quantity"]) == ("Milk", None, "9")
    assert (line["batch_number"], line["expiry_date"], line["unit_cost"]) == ("L1", EXPIRY, "2.00")
    assert [line["quantity"] for line in documents["adjustment"]["lines"]] == ["-2", "3"]
    assert (documents["transfer"]["to_warehouse"], documents["transfer"]["to_warehouse_name"]) == (
        make.other,
        "Other shop",
    )
    assert documents["count"]["to_warehouse"] is None and documents["count"]["to_warehouse_name"] == ""
    counted = [(line["expected"], line["counted"], line["difference"]) for line in documents["count"]["lines"]]
    assert counted == [("23", "22", "-1"), ("3", "3", "0")]
    missing = client.get("/api/inventory/documents/999999")
    assert (missing.status_code, missing.json["code"]) == (404, "unknown-document")


@pytest.mark.parametrize("few", [1_000, 0])
def test_documents_are_found(client, make, me, books, monkeypatch, few):
    monkeypatch.setattr("tillhook.ledger.about.FEW", few)
    documents, milk, pen = books
    old = post(
        client,
        "receipt",
        warehouse=make.other,
        reason="Long ago",
        occurred_at=format_instant(utc_now() - timedelta(days=90)),
        lines=[{"product_id": pen.id, "quantity": 1}],
    )
    everything = listed(client, "/api/inventory/documents")
    assert everything[-1] == old

    def kinds(**params):
        rows = listed(client, "/api/inventory/documents", **params)
        assert rows == [each for each in everything if each in rows]
        return [each["kind"] for each in rows]

    assert kinds(kind="transfer") == ["transfer"] and kinds(kind="receipt") == ["receipt"] * 3
    assert kinds(warehouse=make.other) == ["transfer", "receipt"]
    assert kinds(warehouse=make.other, kind="receipt", product=pen.id) == ["receipt"]
    supplier = client.get("/api/auth/me", as_="supplier").json["user"]
    assert kinds(person=supplier["id"]) == ["receipt"] and kinds(person=999_999) == []
    assert kinds(reason="BROKE") == ["adjustment"] and kinds(reason="nothing") == []
    assert kinds(product=milk.id) == kinds(batch="L1") == ["count", "transfer", "adjustment", "receipt"]
    assert kinds(product=pen.id) == ["count", "adjustment", "receipt", "receipt"]
    assert kinds(batch="L1", product=pen.id) == ["count", "adjustment"] and kinds(batch="L2") == []
    assert kinds(number=documents["count"]["number"]) == ["count"]
    yesterday = format_instant(utc_now() - timedelta(days=1))
    assert kinds(date_to=yesterday) == ["receipt"] and len(kinds(date_from=yesterday)) == 5
    assert client.get("/api/inventory/documents", params={"kind": "sale"}).status_code == 422


def test_documents_of_other_warehouses_are_not_seen(client, make, books):
    pen = books[2]
    elsewhere = post(client, "receipt", warehouse=make.other, lines=[{"product_id": pen.id, "quantity": 5}])
    away = {"from_warehouse": make.other, "to_warehouse": make.main, "lines": [{"product_id": pen.id, "quantity": 1}]}
    coming = post(client, "transfer", **away)
    mine = listed(client, "/api/inventory/documents", ordering="id")
    assert elsewhere in mine
    seen = client.get("/api/inventory/documents", params={"ordering": "id"}, as_="supplier").json["items"]
    assert [each["id"] for each in seen] == [each["id"] for each in mine if each["id"] != elsewhere["id"]]
    assert coming["id"] in [each["id"] for each in seen]
    assert client.get(f"/api/inventory/documents/{elsewhere['id']}", as_="supplier").status_code == 404
    assert client.get("/api/inventory/documents", params={"warehouse": make.other}, as_="supplier").status_code == 403
    assert client.get("/api/inventory/documents", as_="cashier").status_code == 403


def test_the_audit_log_has_stock_documents(client, make, me, books):
    documents, _, pen = books
    client.put(f"/api/products/{pen.id}/inventory", {"inventory": 5, "warehouse": make.main})
    client.put(f"/api/inventory/{pen.id}/threshold", {"warehouse": make.main, "threshold": 3})
    client.put("/api/stock-policies", {"policy": "allow", "product_id": pen.id})
    rows = client.get("/api/audit", params={"entity": "stock_document"}).json["items"]
    assert [(row["action"], row["after"]["kind"]) for row in rows] == [
        ("post", kind) for kind in ("count", "count", "transfer", "adjustment", "receipt", "receipt")
    ]
    (broken,) = (row for row in rows if row["after"]["kind"] == "adjustment")
    posted = documents["adjustment"]
    assert (broken["actor"], broken["actor_name"], broken["entity_id"]) == (me["id"], me["name"], str(posted["id"]))
    assert broken["after"] == {
        "kind": "adjustment",
        "number": posted["number"],
        "link": posted["link"],
        "reason": "Broken",
        "warehouse": make.main,
        "warehouse_name": "Main shop",
        "occurred_at": posted["occurred_at"],
    }
    for entity in ("stock_threshold", "stock_policy"):
        assert len(client.get("/api/audit", params={"entity": entity}).json["items"]) == 1


def test_an_alert_says_the_stock_now_and_what_opened_and_resolved_it(client, make, me):
    product = make.product(stock=12)
    sale = make.sale([(product, 5)], as_="cashier")
    (opened,) = client.get("/api/inventory/alerts").json["items"]
    assert (opened["stock_at_opening"], opened["current_stock"], opened["variant"]) == ("7", "7", None)
    assert opened["opened_by_document"] == {
        "type": "sale",
        "id": sale.id,
        "number": sale.sale_number,
        "link": f"/api/sales/{sale.id}",
    }
    assert (opened["resolved_by"], opened["resolved_by_name"], opened["resolved_by_document"]) == (None, "", None)
    make.sale([(product, 1)])
    receipt = make.receipt(make.main, [(product, 30)])
    (resolved,) = client.get("/api/inventory/alerts").json["items"]
    assert (resolved["stock_at_opening"], resolved["current_stock"]) == ("7", "36")
    assert (resolved["resolved_by"], resolved["resolved_by_name"]) == (me["id"], me["name"])
    assert resolved["resolved_by_document"]["number"] == receipt.number
    assert client.get(resolved["resolved_by_document"]["link"]).json == receipt
    client.put(f"/api/inventory/{product.id}/threshold", {"warehouse": make.main, "threshold": 50})
    assert client.get("/api/inventory/alerts", params={"status": "open"}).json["items"][0]["opened_by_document"] is None


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_simple_product_has_no_variant_and_what_is_absent_is_said_alike(client, make, runtime):
    """Absent text is ``""`` and an absent reference null, in whatever answer about stock."""
    simple, milk = make.product(stock=5), make.product(tracking="lot")
    shirt = make.product(variants=[{"name": "Small"}])
    variant = shirt.variants[0]["id"]
    make.receipt(make.main, [{"product_id": milk.id, "quantity": 2, "batch_number": "L"}])
    make.receipt(make.main, [{"product_id": shirt.id, "variant_id": variant, "quantity": 2}])
    default = client.get(f"/api/products/{simple.id}").json["default_variant_id"]
    now = format_instant(utc_now())
    expected = {simple.id: None, milk.id: None, shirt.id: variant}
    for path, key in [
        ("/api/inventory", "variant_id"),
        (f"/api/inventory?as_of={now}", "variant_id"),
        (f"/api/inventory?known_at={now}", "variant_id"),
        (f"/api/inventory?as_of={now}&ordering=on_hand", "variant_id"),
        ("/api/inventory/movements", "variant_id"),
        ("/api/inventory/alerts", "variant"),
    ]:
        rows = client.get(path).json["items"]
        assert {row.get("product_id", row.get("product")): row[key] for row in rows} == expected, path
        for row in rows:
            assert row.get("warehouse_name", "Main shop") == "Main shop", path
            assert all(value is not None for name, value in row.items() if name.endswith("_name")), path
    documents = client.get("/api/inventory/documents").json["items"]
    assert {line["product_id"]: line["variant_id"] for each in documents for line in each["lines"]} == expected
    assert {each["reason"] for each in documents} == {""} and {each["to_warehouse"] for each in documents} == {None}
    for product_id in expected:
        (row,) = client.get(f"/api/inventory/{product_id}").json["items"]
        assert (row["variant_id"], row["variant_details"] is None) == (expected[product_id], product_id != shirt.id)
    for asked in ({}, {"variant_id": default}):
        params = {"product_id": simple.id, "warehouse_id": make.main, **asked}
        answer = client.get("/api/inventory/stock/check", params=params).json
        assert (answer["variant_id"], answer["warehouse_name"]) == (None, "Main shop")
    with runtime.unit_of_work(write=False) as session:
        assert ledger.stock_by_product(session, [simple.id])[simple.id] == (5, 0)
