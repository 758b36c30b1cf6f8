"""A whole basket at the counter, its items as the scanner read them."""

import threading
import uuid
from decimal import Decimal

import pytest
from sqlalchemy import event

from tillhook.products import check_digit

EAN13, EAN8 = "4006381333931", "40170725"
GTIN = "0" + EAN13
#: Item 00412 at 25.50.
PRICED = "2400412025505"
PRICE = "24IIIIIPPPPPC"


def sell(client, items, as_="cashier", headers=None, **fields):
    return client.post("/api/pos/sales", {"items": items} | fields, as_=as_, headers=headers)


def shop(client, patterns=PRICE):
    assert client.patch("/api/settings", {"pos.embedded_codes": patterns}).status_code == 200


def refused(answer, status, code, field):
    errors = [error["field"] for error in answer.json.get("errors", [])]
    return (answer.status_code, answer.json["code"], errors) == (status, code, [field])


def label(item, cents):
    body = f"24{item}{cents:05d}"
    return body + check_digit(body)


@pytest.fixture
def tea(make):
    return make.product(barcode=EAN13, price="2.50", stock=100)


@pytest.fixture
def eggs(client, make):
    product = make.product(sku="EGG", price="0.30", stock=100)
    assert client.post(f"/api/products/{product.id}/barcodes", {"code": EAN8, "pack_quantity": "6"}).status_code == 201
    return product


# --- what is sold ------------------------------------------------------------------------------------------


def test_codes_and_plain_items_mix_in_their_order(client, make, tea, eggs):
    shop(client)
    ham = make.product(sku="412", price="20.00", unit=make.unit("kg", precision=3)["code"], stock=9)
    plain = make.product(price="1.00", stock=9)
    items = [
        {"code": EAN8, "quantity": 2},
        {"product_id": plain.id, "quantity": "3", "discount_per_item": "0.10"},
        {"code": PRICED},
        {"product_data": {"name": "Walk-in"}, "quantity": 1, "unit_price": "4.00"},
        {"code": EAN13, "discount_per_item": "0.50"},
        {"code": EAN13},
    ]
    answer = sell(client, items, as_="supplier", notes="a bag", payment_method="card")
    assert answer.status_code == 201, answer.text
    sale = answer.json
    lines = [(line["product"], line["quantity"], line["total_price"]) for line in sale["items"]]
    assert lines[:3] == [(eggs.id, "12", "3.60"), (plain.id, "3", "2.70"), (ham.id, "1.275", "25.50")]
    assert lines[3][1:] == ("1", "4.00") and lines[4:] == [(tea.id, "1", "2.00"), (tea.id, "1", "2.50")]
    assert (sale["channel"], sale["notes"], sale["payment_method"]) == ("pos", "a bag", "card")
    assert sale["total_amount"] == "40.30"
    assert [make.stock(each) for each in (tea, eggs, ham, plain)] == [98, 88, Decimal("7.725"), 6]


def test_without_a_code_it_is_an_ordinary_sale(client, make, tea):
    external_id = str(uuid.uuid4())
    items = [{"product_id": tea.id, "quantity": 2}]
    first = sell(client, items, external_id=external_id)
    assert first.status_code == 201 and first.json["total_amount"] == "5.00"
    again = client.post("/api/sales", {"items": items, "external_id": external_id}, as_="cashier")
    assert (again.status_code, again.json["id"]) == (200, first.json["id"]) and make.stock(tea) == 98


def test_the_scanned_lot_is_the_lot_sold(client, make):
    cheese = make.product(barcode=EAN13, tracking="lot")
    lines = [{"product_id": cheese.id, "quantity": 5, "batch_number": name} for name in ("L1", "L2")]
    make.receipt(make.main, lines)
    items = [{"code": f"(01){GTIN}(10)L2"}, {"code": f"]d201{GTIN}10L1\x1d3002"}, {"code": EAN13, "batch_number": "L2"}]
    sold = sell(client, items)
    assert sold.status_code == 201, sold.text
    assert [(line["batch_number"], line["quantity"]) for line in sold.json["items"]] == [
        ("L2", "1"),
        ("L1", "2"),
        ("L2", "1"),
    ]
    items = [{"code": EAN13}, {"code": f"(01){GTIN}(10)NONE"}]
    assert refused(sell(client, items), 409, "pos-lot-not-in-stock", "items.1.code")
    twice = [{"code": f"(01){GTIN}(10)L2", "batch_number": "L1"}]
    assert refused(sell(client, twice), 422, "validation-failed", "items.0.batch_number")
    # Each label by itself would do; together they are more than the lot has.
    short = sell(client, [{"code": f"(01){GTIN}(10)L2", "quantity": 2}] * 2)
    assert (short.status_code, short.json["code"]) == (409, "insufficient-stock") and make.stock(cheese) == 6


def test_a_label_is_charged_as_by_its_code_alone(client, make):
    shop(client)
    make.product(sku="00412", price="100.00", price_mode="list", stock=9)
    basket = sell(client, [{"code": PRICED}]).json
    alone = client.post(f"/api/pos/sell/{PRICED}", {}, as_="cashier").json
    varying = ("id", "sale_number", "sale_date", "created_at", "synced_at", "updated_at", "items")
    assert {name: basket[name] for name in basket if name not in varying} == {
        name: alone[name] for name in alone if name not in varying
    }
    assert basket["items"][0]["flags"] == alone["items"][0]["flags"] == ["price-printed"]
    for name, value in (("quantity", 2), ("unit_price", "1.00")):
        said = sell(client, [{"code": EAN13}, {"code": PRICED, name: value}])
        assert refused(said, 404, "pos-unknown-code", "items.0.code")
        assert refused(sell(client, [{"code": PRICED, name: value}]), 422, "validation-failed", f"items.0.{name}")


def test_goods_are_exchanged_for_scanned_ones(client, make, tea, eggs):
    first = sell(client, [{"code": EAN13}]).json
    returns = {"sale_id": first["id"], "lines": [{"position": 0, "quantity": 1}]}
    # Who has several warehouses need not say which: the goods are where they were sold.
    answer = sell(client, [{"code": EAN8, "quantity": 2}], as_="admin", returns=returns)
    assert answer.status_code == 201, answer.text
    assert (answer.json["kind"], answer.json["total_amount"], answer.json["warehouse"]) == (
        "exchange",
        "1.10",
        make.main,
    )
    assert make.stock(tea) == 100 and make.stock(eggs) == 88


def test_a_device_sells_baskets_in_its_own_name(client, make, tea):
    cashier = make.user("cashier")
    body = {"name": "t", "scopes": ["pos:code:sell", "sales:sale:post"], "user": cashier.id, "device": "till-9"}
    headers = {"X-API-Key": client.post("/api/api-keys", body).json["key"]}
    sold = sell(client, [{"code": EAN13}], as_=None, headers=headers, device_number=4)
    assert (sold.json["source_device"], sold.json["device_number"]) == ("till-9", 4)
    foreign = sell(client, [{"code": EAN13}], as_=None, headers=headers, source_device="till-1")
    assert refused(foreign, 403, "foreign-device", "source_device") and make.stock(tea) == 99


# --- what is refused ---------------------------------------------------------------------------------------


def test_a_bad_code_is_named_by_its_place_and_nothing_is_sold(client, make, tea, eggs):
    shop(client, "24IIIIIPPPPPC 25IIIIIPPPPPC")
    make.product(sku="0412")
    make.product(sku="412")
    good = {"code": EAN13}
    cases = [
        ({"code": "nothing"}, 404, "pos-unknown-code", "code"),
        ({"code": PRICED}, 422, "pos-ambiguous-code", "code"),
        ({"code": f"01{GTIN}10ABCDEFGHIJKLMNOPQRST17990101"}, 422, "pos-ambiguous-code", "code"),
        ({"code": f"(01){GTIN[:-1]}5"}, 422, "pos-bad-element-string", "code"),
        ({"code": EAN8, "quantity": "99999999999"}, 422, "validation-failed", "quantity"),
        ({"code": EAN13, "unit_price": "99.00"}, 403, "price-above-catalogue", "unit_price"),
        ({"code": EAN13, "discount_per_item": "2.00"}, 403, "discount-limit", "discount_per_item"),
        ({"code": EAN13, "variant_id": 5}, 422, "validation-failed", "variant_id"),
        ({"code": EAN13, "product_id": tea.id}, 422, "validation-failed", "code"),
        ({"product_id": tea.id}, 422, "validation-failed", "quantity"),
        ({"quantity": 1}, 422, "validation-failed", "code"),
        ({"code": ""}, 422, "validation-failed", "code"),
        ({"code": "a\x01b"}, 422, "validation-failed", "code"),
        ({"code": "x" * 401}, 422, "validation-failed", "code"),
        ({"code": EAN13, "quantity": 0}, 422, "validation-failed", "quantity"),
        ({"code": EAN13, "is_printed_price": True}, 422, "validation-failed", "is_printed_price"),
    ]
    for item, status, code, field in cases:
        answer = sell(client, [good, good, item, good])
        assert refused(answer, status, code, f"items.2.{field}"), answer.text
    assert make.stock(tea) == 100 and make.stock(eggs) == 100
    unknown = sell(client, [good, {"code": PRICED[:-1] + "6"}])
    assert unknown.json["understood"]["item"] == "00412" and unknown.json["hint"]


def test_the_first_bad_code_is_the_one_named(client, tea):
    answer = sell(client, [{"code": EAN13}, {"code": "one"}, {"code": "two"}, {"code": "one"}])
    assert refused(answer, 404, "pos-unknown-code", "items.1.code")


def test_the_channel_is_no_field(client, tea):
    assert refused(sell(client, [{"code": EAN13}], channel="counter"), 422, "validation-failed", "channel")


def test_anothers_warehouse_is_not_sold_from(client, make, tea):
    assert (
        refused(sell(client, [{"code": EAN13}], warehouse=make.other), 403, "foreign-warehouse", "warehouse")
        and make.stock(tea) == 100
    )
    several = sell(client, [{"code": EAN13}], as_="admin")
    assert refused(several, 422, "validation-failed", "warehouse")
    assert sell(client, [{"code": EAN13}], as_="admin", warehouse=make.main).status_code == 201


def test_who_may_sell_by_code_alone_may_not_sell(client, make, tea):
    client.post("/api/roles", {"name": "scanner", "permissions": ["pos:code:sell"]})
    denied = sell(client, [{"code": EAN13}], as_=make.user("scanner"))
    assert (denied.status_code, denied.json["code"]) == (403, "permission-denied")
    assert client.post("/api/pos/sales", {"items": [{"code": EAN13}]}, as_="accountant").status_code == 403
    assert make.stock(tea) == 100


# --- once --------------------------------------------------------------------------------------------------


def test_a_basket_sells_once_whatever_its_codes_mean_by_then(client, make, tea):
    shop(client)
    ham = make.product(sku="412", price="12.99", unit=make.unit("kg", precision=3)["code"], stock=2)
    body = {"external_id": str(uuid.uuid4()), "payments": [{"method": "cash", "amount": "30.5"}]}
    first = sell(client, [{"code": PRICED}, {"code": EAN13, "quantity": 2}], **body)
    assert first.status_code == 201, first.text
    client.patch(f"/api/products/{ham.id}", {"price": "15.00"})
    client.patch(f"/api/products/{tea.id}", {"price": "9.00"})
    shop(client, "")
    # The same, written otherwise: a price, a quantity, what is the default, the id.
    body = {"external_id": body["external_id"].upper(), "payments": [{"method": "cash", "amount": "30.50"}]}
    items = [{"code": PRICED, "quantity": "1"}, {"code": EAN13, "quantity": "2.0", "discount_per_item": 0}]
    again = sell(client, items, warehouse=make.main, **body)
    assert again.status_code == 200, again.text
    assert again.json == first.json and make.stock(tea) == 98
    # By another route, the same.
    one = str(uuid.uuid4())
    sold = client.post(f"/api/pos/sell/{EAN13}", {"external_id": one}, as_="cashier")
    client.patch(f"/api/products/{tea.id}", {"price": "8.00"})
    repeated = sell(client, [{"code": EAN13}], external_id=one)
    assert (repeated.status_code, repeated.json["id"]) == (200, sold.json["id"]) and make.stock(tea) == 97


def test_what_a_repeat_says_otherwise_is_kept_as_a_sale_and_can_be_accepted(client, make, tea, eggs):
    shop(client)
    ham = make.product(sku="412", price="100.00", unit=make.unit("kg", precision=3)["code"], stock=9)
    external_id = str(uuid.uuid4())
    first = sell(client, [{"code": EAN13}], external_id=external_id)
    items = [
        {"code": PRICED},
        {"product_id": tea.id, "quantity": 3, "code": None},
        {"code": EAN8, "quantity": 2, "discount_per_item": "0.05"},
    ]
    for _ in range(2):
        other = sell(client, items, external_id=external_id, notes="later")
        assert refused(other, 409, "external-id-reused", "external_id")
        client.patch(f"/api/products/{ham.id}", {"price": "90.00"})
    (kept,) = client.get("/api/sales/exceptions", as_="cashier").json["items"]
    assert (kept["attempts"], kept["channel"], kept["warehouse"]) == (2, "pos", make.main)
    assert kept["payload"] == {
        "channel": "pos",
        "warehouse": make.main,
        "external_id": external_id,
        "notes": "later",
        "items": [
            {"product_id": ham.id, "quantity": "0.255", "unit_price": "100.00"},
            {"product_id": tea.id, "quantity": 3},
            {"product_id": eggs.id, "quantity": "12", "discount_per_item": "0.05"},
        ],
    }
    accepted = client.post(f"/api/sales/exceptions/{kept['id']}/accept", {"reason": "two sales"})
    assert accepted.status_code == 200, accepted.text
    sale = accepted.json["sale"]
    assert (sale["total_amount"], sale["channel"], sale["is_offline"]) == ("36.00", "pos", True)
    left = [Decimal("8.745"), 96, 88]
    assert [make.stock(each) for each in (ham, tea, eggs)] == left
    # The till finds both again, though what the codes mean has changed.
    client.patch(f"/api/products/{ham.id}", {"price": "80.00"})
    items[2]["quantity"] = "2.0"
    again = sell(client, items, external_id=external_id, notes="later")
    assert (again.status_code, again.json["id"]) == (200, sale["id"])
    assert sell(client, [{"code": EAN13}], external_id=external_id).json["id"] == first.json["id"]
    assert [make.stock(each) for each in (ham, tea, eggs)] == left


def test_a_conflict_by_code_alone_is_kept_likewise(client, make, tea):
    external_id = str(uuid.uuid4())
    client.post(f"/api/pos/sell/{EAN13}", {"external_id": external_id}, as_="cashier")
    other = {"external_id": external_id, "quantity": 4, "payment_method": "card"}
    assert client.post(f"/api/pos/sell/{EAN13}", other, as_="cashier").status_code == 409
    (kept,) = client.get("/api/sales/exceptions", as_="cashier").json["items"]
    assert kept["payload"]["items"] == [{"product_id": tea.id, "quantity": "4"}]
    accepted = client.post(f"/api/sales/exceptions/{kept['id']}/accept", {"reason": "both"})
    assert accepted.status_code == 200, accepted.text
    assert accepted.json["sale"]["payment_method"] == "card" and make.stock(tea) == 95


def test_the_same_basket_elsewhere_is_another_sale(client, make, tea):
    make.receipt(make.other, [{"product_id": tea.id, "quantity": 5}])
    external_id = str(uuid.uuid4())
    sold = sell(client, [{"code": EAN13}], as_="admin", warehouse=make.main, external_id=external_id)
    assert sold.status_code == 201
    other = sell(client, [{"code": EAN13}], as_="admin", warehouse=make.other, external_id=external_id)
    assert refused(other, 409, "external-id-reused", "external_id")


def test_two_tills_that_send_the_same_basket_at_once_sell_it_once(server, client, make, tea):
    body = {"items": [{"code": EAN13}], "warehouse": make.main, "external_id": str(uuid.uuid4())}
    answers = []

    def post():
        answers.append(server.post("/api/pos/sales", body, as_="cashier"))

    threads = [threading.Thread(target=post) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200, 200, 200, 201]
    assert len({sale["id"] for _, sale in answers}) == 1 and make.stock(tea) == 99


# --- many --------------------------------------------------------------------------------------------------


def test_a_long_basket_asks_the_catalogue_no_more_often(client, make, runtime):
    shop(client)
    products = [make.product(sku=f"{number:05d}", price="1.00", stock=50) for number in range(12)]

    def statements(items):
        seen = []

        def count(conn, cursor, statement, *_):
            seen.append(statement)

        event.listen(runtime.database.engine, "before_cursor_execute", count)
        try:
            answer = sell(client, items)
        finally:
            event.remove(runtime.database.engine, "before_cursor_execute", count)
        assert answer.status_code == 201, answer.text
        return len(seen)

    sell(client, [{"code": "00001"}])  # logs in, and warms what is kept
    few = statements([{"code": label("00000", 150)}, {"code": "00001"}])
    many = [{"code": label(product["sku"], 150 + number)} for number, product in enumerate(products)]
    assert statements(many + [{"code": product["sku"]} for product in products]) == few


def test_a_basket_takes_as_many_items_as_a_sale(client, make, tea):
    make.receipt(make.main, [{"product_id": tea.id, "quantity": 1000}])
    items = [{"code": EAN13}] * 1000
    assert refused(sell(client, [*items, {"code": EAN13}]), 422, "validation-failed", "items")
    sold = sell(client, items)
    assert sold.status_code == 201 and sold.json["total_amount"] == "2500.00" and make.stock(tea) == 100
