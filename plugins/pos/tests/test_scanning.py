"""Scanning a code and selling it."""

import re
import uuid
from datetime import timedelta

from tillhook.db import utc_now

EAN13, EAN8, UPCA = "4006381333931", "40170725", "036000291452"


def scan(client, code, warehouse=None, as_="cashier"):
    params = {} if warehouse is None else {"warehouse": warehouse}
    return client.get(f"/api/pos/scan/{code}", params=params, as_=as_)


def sell(client, code, as_="cashier", headers=None, **body):
    return client.post(f"/api/pos/sell/{code}", body, as_=as_, headers=headers)


def tables(runtime):
    with runtime.database.connect() as connection:
        names = ("sale", "sale_line", "sale_payment", "stock_movement", "outbox", "idempotency_key")
        return {name: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar_one() for name in names}


def refused(answer, status, code):
    return (answer.status_code, answer.json["code"]) == (status, code)


# --- scanning ----------------------------------------------------------------------------------------------


NAMES = {
    EAN13: {EAN13: "ean13", "0" + EAN13: "gtin14"},
    EAN8: {EAN8: "ean8"},
    UPCA: {UPCA: "upca", "0" + UPCA: "ean13"},
    "0012345678905": {"012345678905": "upca"},
    "000042": {"000042": "free"},
    "4006381333930": {"4006381333930": "free"},  # a wrong check digit: the shop's own label
    "ABC-7/x": {"ABC-7%2Fx": "free"},
    "Käse 1": {"K%C3%A4se%201": "free"},
}


def test_a_code_names_its_product(client, make):
    for barcode, scans in NAMES.items():
        product = make.product(barcode=barcode)
        for scanned, kind in scans.items():
            answer = scan(client, scanned)
            assert answer.status_code == 200, answer.text
            assert answer.json["kind"] == kind and answer.json["product"]["id"] == product.id


def test_what_a_scan_shows(client, make):
    product = make.product(name="Milk", sku="MILK", barcode=EAN13, price="2.50", stock=3)
    assert scan(client, EAN13).json == {
        "code": EAN13,
        "kind": "ean13",
        "product": {
            "id": product.id,
            "name": "Milk",
            "sku": "MILK",
            "price_mode": "bounded",
            "tracking": "quantity",
        },
        "variant": None,
        "price": "2.50",
        "pack_quantity": "1",
        "pack_price": "2.50",
        "warehouse": make.main,
        "stock": "3",
        "expired": "0",
        "is_low_stock": True,
        "lot": None,
        "quantity": "1",
        "unit_price": "2.50",
        "total": "2.50",
        "is_printed_price": False,
        "item": {"product_id": product.id, "quantity": "1"},
        "understood": {"code": EAN13, "kind": "ean13"},
    }


def test_leading_zeros_count(client, make):
    make.product(barcode="0042")
    other = make.product(barcode="42")
    assert scan(client, "42").json["product"]["id"] == other.id
    assert refused(scan(client, "00042"), 404, "pos-unknown-code")


def test_an_sku_is_a_code_too(client, make):
    product = make.product(sku="TEA-1", variants=[{"name": "Green", "sku": "TEA-G", "price": "4.00"}])
    answer = scan(client, "TEA-G").json
    assert (answer["kind"], answer["product"]["id"], answer["price"]) == ("sku", product.id, "4.00")
    assert answer["variant"] == {"id": product["variants"][0]["id"], "name": "Green"}


def test_an_untracked_product_has_no_stock(client, make):
    make.product(sku="SERVICE", tracking="none")
    answer = scan(client, "SERVICE").json
    assert answer["stock"] is None and answer["is_low_stock"] is False


def test_the_lot_that_is_sold_first_is_shown(client, make):
    product = make.product(sku="CHEESE", tracking="lot")
    today = utc_now().date()
    days = {"OLD": today - timedelta(days=3), "SECOND": today + timedelta(days=30), "FIRST": today + timedelta(days=9)}
    lines = [
        {"product_id": product.id, "quantity": 2, "batch_number": name, "expiry_date": day.isoformat()}
        for name, day in days.items()
    ]
    make.receipt(make.main, lines)
    answer = scan(client, "CHEESE").json
    assert (answer["stock"], answer["expired"]) == ("4", "2")
    assert answer["lot"] == {
        "batch_number": "FIRST",
        "expiry_date": days["FIRST"].isoformat(),
        "available": "2",
        "expired": "0",
        "is_expired": False,
    }
    sold = sell(client, "CHEESE", quantity=1)
    assert sold.status_code == 201 and sold.json["items"][0]["batch_number"] == "FIRST"


def test_a_pack_is_worth_what_is_in_it(client, make):
    product = make.product(sku="EGG", price="0.30", stock=100)
    client.post(f"/api/products/{product.id}/barcodes", {"code": EAN8, "pack_quantity": "6"})
    answer = scan(client, EAN8).json
    assert (answer["price"], answer["pack_quantity"], answer["pack_price"]) == ("0.30", "6", "1.80")


def test_an_unknown_code(client, make):
    make.product(barcode=EAN8)
    for code in (EAN13, "nothing", "0", "%20", "%00", "a" * 600, "1%20OR%201=1", "../x", "a/b/c"):
        for answer in (scan(client, code), sell(client, code)):
            assert answer.status_code == 404, code
            assert answer.json["code"] in ("pos-unknown-code", "not-found")


def test_what_is_not_sold_says_why(client, make):
    archived = make.product(sku="GONE", name="Mug", stock=3)
    client.delete(f"/api/products/{archived.id}")
    make.product(sku="NEW", name="Cup", as_="supplier", tracking="none")
    shirt = make.product(sku="SHIRT", name="Shirt", variants=[{"name": "S", "sku": "SHIRT-S"}])
    for code, status, slug, words in (
        ("GONE", 409, "pos-not-for-sale", "Mug is archived."),
        ("NEW", 409, "pos-not-approved", "Cup is not approved yet."),
        ("SHIRT", 422, "pos-variant-needed", "Shirt is sold by variant; name one."),
        ("NOTHING", 404, "pos-unknown-code", "Nothing for sale has the code 'NOTHING'."),
    ):
        for answer in (scan(client, code), sell(client, code)):
            assert refused(answer, status, slug) and answer.json["detail"] == words
    named = scan(client, "SHIRT").json["variants"]
    assert named == [{"id": shirt.variants[0]["id"], "name": "S", "sku": "SHIRT-S"}]
    # To who works elsewhere it is not there.
    stranger = make.user("supplier", warehouses=[make.other])
    assert refused(scan(client, "NEW", as_=stranger), 404, "pos-unknown-code")
    assert scan(client, "NEW", as_="supplier").status_code == 200
    assert sell(client, "NEW", as_="supplier").status_code == 201


def test_another_warehouse_is_not_ours(client, make, runtime):
    make.product(sku="TEA", stock=3)
    before = tables(runtime)
    for answer in (scan(client, "TEA", make.other), sell(client, "TEA", warehouse=make.other)):
        assert refused(answer, 403, "foreign-warehouse")
        assert answer.json["errors"][0]["field"] == "warehouse"
    unknown = sell(client, "TEA", warehouse=999_999)
    assert unknown.status_code == 422 and unknown.json["errors"][0]["field"] == "warehouse"
    assert tables(runtime) == before


def test_who_has_several_warehouses_names_one(client, make):
    make.product(sku="TEA", stock=3)
    answer = scan(client, "TEA", as_="admin")
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "warehouse"
    assert scan(client, "TEA", make.main, as_="admin").json["warehouse"] == make.main


# --- selling -----------------------------------------------------------------------------------------------


def test_selling_by_code(client, make):
    product = make.product(barcode=EAN13, price="2.50", stock=5)
    answer = sell(client, EAN13)
    assert answer.status_code == 201, answer.text
    sale = answer.json
    assert re.fullmatch(r"OS[0-9]{6}[0-9]{7}", sale["sale_number"])
    assert sale["channel"] == "pos" and sale["warehouse"] == make.main
    (line,) = sale["items"]
    assert (line["product"], line["quantity"], line["total_price"]) == (product.id, "1", "2.50")
    assert [payment["method"] for payment in sale["payments"]] == ["cash"]
    assert make.stock(product) == 4
    assert client.get(f"/api/sales/{sale['id']}", as_="cashier").json == sale


def test_a_variant_and_a_means_of_payment(client, make):
    product = make.product(variants=[{"name": "Red", "barcode": EAN8}, {"name": "Blue"}])
    variant = product["variants"][0]["id"]
    make.receipt(make.main, [{"product_id": product.id, "variant_id": variant, "quantity": 4}])
    answer = sell(client, EAN8, quantity="2", payment_method="card")
    assert answer.status_code == 201, answer.text
    assert answer.json["items"][0]["variant"] == variant and answer.json["payments"][0]["method"] == "card"
    assert make.stock(product) == 2


def test_an_unknown_means_of_payment(client, make, runtime):
    make.product(sku="TEA", stock=5)
    before = tables(runtime)
    answer = sell(client, "TEA", payment_method="shells")
    assert answer.status_code == 422 and tables(runtime) == before
    assert answer.json["errors"][0]["field"] == "payment_method"


def test_what_has_no_price_is_not_sold_by_code(client, make):
    make.product(sku="SCRAP", tracking="none", price_mode="open", price="0")
    assert scan(client, "SCRAP").json["price"] is None
    assert sell(client, "SCRAP").status_code == 422
    item = {"product_id": scan(client, "SCRAP").json["product"]["id"], "quantity": 1, "unit_price": "7.00"}
    make.sale([item], as_="supplier")
    assert scan(client, "SCRAP").json["price"] == "7.00"
    assert sell(client, "SCRAP").json["total_amount"] == "7.00"


def test_the_same_external_id_sells_once(client, make):
    product = make.product(sku="TEA", stock=5)
    external_id = str(uuid.uuid4())
    first = sell(client, "TEA", quantity=2, external_id=external_id)
    again = sell(client, "TEA", quantity=2, external_id=external_id.upper())
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json == again.json and make.stock(product) == 3
    other = sell(client, "TEA", quantity=3, external_id=external_id)
    assert refused(other, 409, "external-id-reused") and make.stock(product) == 3


def test_the_same_idempotency_key_sells_once(client, make):
    product = make.product(sku="TEA", stock=5)
    key = {"Idempotency-Key": "till-1-0001"}
    first = sell(client, "TEA", headers=key)
    again = sell(client, "TEA", headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotency-replayed"] == "true" and again.json == first.json
    assert make.stock(product) == 4
    assert refused(sell(client, "TEA", headers=key, quantity=2), 422, "idempotency-key-reused")
    # Somebody else's key is another one.
    assert sell(client, "TEA", headers=key, as_="supplier").status_code == 201
    assert make.stock(product) == 3


def test_what_is_short_is_not_sold(client, make, runtime):
    product = make.product(sku="TEA", stock=5)
    before = tables(runtime)
    answer = sell(client, "TEA", quantity=6)
    assert refused(answer, 409, "insufficient-stock")
    assert answer.json["short_lines"][0]["available"] == "5"
    assert tables(runtime) == before and make.stock(product) == 5


def test_packs_are_sold_whole(client, make):
    product = make.product(sku="EGG", price="0.30", stock=20)
    client.post(f"/api/products/{product.id}/barcodes", {"code": EAN8, "pack_quantity": "6"})
    sale = sell(client, EAN8, quantity=3).json
    assert sale["items"][0]["quantity"] == "18" and sale["total_amount"] == "5.40"
    assert make.stock(product) == 2
    assert refused(sell(client, EAN8), 409, "insufficient-stock")


NO_STOCK = {
    "A": ("0.0001", "0.5"),
    "B": ("0.3333", "0.3333"),
    "C": ("99999999999", "99999999999"),
    "D": ("1.5", "0.0001"),
}


def test_packages_that_hold_no_quantity_of_stock(client, make, runtime):
    product = make.product(sku="SALT", unit=make.unit("salt", precision=4)["code"], stock=20)
    for code, (pack, _) in NO_STOCK.items():
        client.post(f"/api/products/{product.id}/barcodes", {"code": code, "pack_quantity": pack})
    before = tables(runtime)
    for code, (_, quantity) in NO_STOCK.items():
        answer = sell(client, code, quantity=quantity)
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "quantity", answer.text
    assert tables(runtime) == before


def test_no_quantity_at_all(client, make):
    make.product(sku="TEA", stock=5)
    for quantity in (0, -1, "x", "1e3", "0.00001", 10**20, True):
        answer = sell(client, "TEA", quantity=quantity)
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == "quantity", quantity


def test_half_a_piece_names_the_quantity(client, make):
    make.product(sku="TEA", stock=5, unit=make.unit(precision=0)["code"])
    answer = sell(client, "TEA", quantity="0.5")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == ["quantity"]
