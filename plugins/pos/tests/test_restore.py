"""Sales restored from their receipts, once, and goods taken back by the receipt."""

import uuid

import pytest

from tillhook.testing import at_once
from tillhook_pos.tills.codes import receipt_code, receipt_reference
from tillhook_pos.tills.contents import Content
from tillhook_pos.tills.signing import sign

pytestmark = pytest.mark.slow

EAN13 = "4006381333931"


class Device:
    """A till's device while it is offline: it sells, numbers, signs and queues."""

    def __init__(self, client, till, product):
        self.client, self.till, self.product = client, till, product
        self.key = {"as_": None, "headers": {"X-API-Key": till["api_key"]}}
        self.number = 0
        self.queue = []

    def sell(self, **fields):
        """Queue a sale and return the code on its receipt."""
        self.number += 1
        body = {
            "external_id": str(uuid.uuid4()),
            "warehouse": self.till["warehouse"],
            "device_number": self.number,
            "client_timestamp": f"2026-01-31T14:{self.number % 60:02}:00Z",
            "items": [{"product_id": self.product.id, "quantity": "1", "unit_price": "9.50"}],
            "payments": [{"method": "cash", "amount": "10"}],
            "notes": f"sale {self.number}",
            **fields,
        }
        self.queue.append(body)
        return self.code(body)

    def code(self, body, **changes):
        content = Content(changes.get("seller", self.till["user"]), body)
        secret = bytes.fromhex(self.till["code_secret"])
        return sign(content, secret, self.till["id"], self.till["code_version"])

    def sync(self):
        answer = self.client.post("/api/sales/sync", {"sales": self.queue}, **self.key)
        return [result["status"] for result in answer.json["results"]]


@pytest.fixture
def seller(make):
    return make.user("cashier")


@pytest.fixture
def product(make):
    return make.product(stock=100, price="10.00", barcode=EAN13)


@pytest.fixture
def device(client, make, seller, product):
    body = {"name": "till-1", "warehouse": make.main, "user": seller.id}
    return Device(client, client.post("/api/pos/tills", body).json, product)


def restore(client, code, as_="supplier", **fields):
    return client.post("/api/pos/receipts/restore", {"code": code, **fields}, as_=as_)


def restore_all(client, codes, as_="supplier", **fields):
    return client.post("/api/pos/receipts/restore", {"codes": codes, **fields}, as_=as_).json["results"]


def take_back(client, as_="cashier", headers=None, **body):
    return client.post("/api/pos/returns", body, as_=as_, headers=headers)


def refused(answer, status, code, field=None):
    problem = answer.json
    fields = [error["field"] for error in problem.get("errors", ())]
    return (answer.status_code, problem.get("code")) == (status, code) and (field is None or field in fields)


def tables(runtime):
    with runtime.database.connect() as connection:
        names = ("sale", "sale_line", "sale_payment", "stock_movement", "outbox", "sale_exception", "pos_document")
        return {name: connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar_one() for name in names}


def documents(runtime):
    with runtime.database.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT s.kind, d.till FROM pos_document d JOIN sale s ON s.id = d.sale_id ORDER BY d.sale_id"
        )
        return [tuple(row) for row in rows]


# --- restoring ---------------------------------------------------------------------------------------------


def test_a_restored_sale_is_what_the_device_sold(client, make, runtime, seller, device):
    code = device.sell(customer_name="Anna")
    answer = restore(client, code)
    assert answer.status_code == 201, answer.text
    sale = answer.json
    assert (sale["seller"], sale["source_device"], sale["device_number"]) == (seller.id, "till-1", 1)
    assert (sale["client_timestamp"], sale["sale_date"]) == ("2026-01-31T14:01:00.000000Z",) * 2
    assert (sale["is_offline"], sale["external_id"]) == (True, device.queue[0]["external_id"])
    assert (sale["total_amount"], sale["change_due"], sale["customer_name"]) == ("9.50", "0.50", "Anna")
    assert sale["items"][0]["flags"] == ["price-variance"]
    assert make.stock(device.product) == 99
    assert documents(runtime) == [("sale", "till-1")]


def test_it_is_restored_once_and_the_device_finds_it_there(client, make, device):
    codes = [device.sell(), device.sell()]
    first = restore(client, codes[0])
    again = restore(client, codes[0])
    assert (first.status_code, again.status_code) == (201, 200) and again.json["id"] == first.json["id"]
    assert device.sync() == ["duplicate", "created"]
    assert [restore(client, code).status_code for code in codes] == [200, 200]
    assert make.stock(device.product) == 98


def test_what_the_device_never_sent_is_missing_no_more(client, device):
    codes = [device.sell() for _ in range(5)]
    device.queue = [device.queue[0], device.queue[4]]
    device.sync()
    shown = f"/api/pos/tills/{device.till['id']}"
    assert client.get(shown).json["missing"] == [[2, 4]]
    restore(client, codes[2])
    assert client.get(shown).json["missing"] == [[2, 2], [4, 4]]
    restore_all(client, codes)
    assert (client.get(shown).json["missing"], client.get(shown).json["next_number"]) == ([], 6)


def test_it_is_told_who_restored_what_and_why(client, device):
    sale = restore(client, device.sell(), reason="fell into the sink").json
    entry = client.get("/api/audit", params={"action": "restore-from-receipt"}).json["items"][0]
    assert (entry["entity"], entry["entity_id"], entry["actor_name"]) == ("sale", str(sale["id"]), "Supplier")
    assert entry["after"]["till"] == device.till["id"] and entry["after"]["reason"] == "fell into the sink"
    assert (entry["after"]["seller"], entry["after"]["device_number"]) == (device.till["user"], 1)
    restore(client, device.code(device.queue[0]))
    assert len(client.get("/api/audit", params={"action": "restore-from-receipt"}).json["items"]) == 1


def test_many_receipts_each_stand_alone(client, make, device):
    known, new, other = device.sell(), device.sell(), device.sell()
    restore(client, known)
    bad_product = device.sell(items=[{"product_id": 999_999, "quantity": "1"}])
    unknown_seller = device.code({**device.queue[1], "external_id": str(uuid.uuid4())}, seller=999_999)
    forged = new[:40] + ("B" if new[40] == "A" else "A") + new[41:]
    codes = [new, "nonsense", known, bad_product, forged, other, unknown_seller, new, "TH1R.OS1.AAAA"]
    results = restore_all(client, codes)
    assert [result["status"] for result in results] == [
        "created",
        "rejected",
        "duplicate",
        "rejected",
        "rejected",
        "created",
        "rejected",
        "duplicate",
        "rejected",
    ]
    assert [result["error"]["code"] for result in results if "error" in result] == [
        "pos-bad-receipt-code",
        "unknown-product",
        "pos-receipt-signature",
        "pos-unknown-seller",
        "pos-bad-receipt-code",
    ]
    assert [results[place]["error"]["errors"][0]["field"] for place in (1, 3, 6)] == [
        "codes.1",
        "codes.3.items.0.product_id",
        "codes.6",
    ]
    assert [result["external_id"] for result in results][:3] == [
        device.queue[1]["external_id"],
        None,
        device.queue[0]["external_id"],
    ]
    assert make.stock(device.product) == 97
    kept = client.get("/api/sales/exceptions").json["items"]
    assert [(each["code"], each["seller"]) for each in kept] == [("unknown-product", device.till["user"])]


def test_five_hundred_at_once_and_no_more(client, make, device):
    make.receipt(make.main, [(device.product, 1000)])
    codes = [device.sell() for _ in range(500)]
    assert {result["status"] for result in restore_all(client, codes)} == {"created"}
    answer = client.post("/api/pos/receipts/restore", {"codes": [*codes, codes[0]]})
    assert refused(answer, 422, "validation-failed", "codes")


def test_a_sale_that_cannot_be_posted_is_refused_and_changes_nothing(client, runtime, device):
    codes = [
        device.sell(items=[{"product_id": 999_999, "quantity": "1"}]),
        device.sell(payments=[{"method": "cash", "amount": "1"}]),
        device.sell(payments=[{"method": "shells", "amount": "10"}]),
    ]
    before = tables(runtime)
    for code, field in zip(codes, ("items.0.product_id", "payments", "payments.0.method"), strict=True):
        answer = restore(client, code)
        assert answer.status_code == 422 and answer.json["errors"][0]["field"] == f"code.{field}", answer.text
    assert tables(runtime) == before


@pytest.mark.parametrize("body", [{}, {"code": None}, {"code": "x", "codes": ["x"]}, {"codes": []}, {"codes": [1]}])
def test_one_code_or_many(client, body):
    assert client.post("/api/pos/receipts/restore", body, as_="supplier").status_code == 422


def test_other_content_under_its_id_is_kept_for_a_person(client, make, device):
    code = device.sell()
    changed = {**device.queue[0], "notes": "another"}
    device.queue = [changed]
    assert device.sync() == ["created"]
    answer = restore(client, code)
    assert refused(answer, 409, "external-id-reused")
    kept = client.get("/api/sales/exceptions").json["items"]
    assert [each["payload"]["notes"] for each in kept] == ["sale 1"]
    assert make.stock(device.product) == 99


def test_only_who_may_restores_and_in_the_own_warehouses_only(client, make, runtime, device):
    code = device.sell()
    before = tables(runtime)
    for role in ("cashier", "accountant", "customer"):
        assert restore(client, code, as_=role).status_code == 403
    assert client.post("/api/pos/receipts/restore", {"code": code}, **device.key).status_code == 403
    stranger = make.user("supplier", warehouses=[make.other])
    assert refused(restore(client, code, as_=stranger), 403, "foreign-warehouse", "code")
    assert restore_all(client, [code], as_=stranger)[0]["error"]["code"] == "foreign-warehouse"
    elsewhere = device.sell(warehouse=make.other)
    assert refused(restore(client, elsewhere), 403, "foreign-warehouse", "code")
    assert tables(runtime) == before


def test_the_seller_may_have_left_since(client, make, seller, device):
    code = device.sell()
    client.patch(f"/api/users/{seller.id}", {"roles": ["customer"], "warehouses": [make.other]})
    client.delete(f"/api/users/{seller.id}")
    answer = restore(client, code)
    assert answer.status_code == 201, answer.text
    assert answer.json["seller"] == seller.id


def test_inline_products_and_returns_are_restored_too(client, make, device):
    inline = [{"product_data": {"name": "Bread", "tracking": "none"}, "quantity": "0.5", "unit_price": "20.00"}]
    sold = device.sell(items=inline)
    returns = {"external_id": device.queue[0]["external_id"], "lines": [{"position": 0, "quantity": "0.25"}]}
    back = device.sell(items=[], payments=None, returns=returns, refund="cash")
    results = restore_all(client, [sold, back])
    assert [result["status"] for result in results] == ["created", "created"], results
    assert results[1]["sale"]["kind"] == "return" and results[1]["sale"]["total_amount"] == "-5.00"
    assert device.sync() == ["duplicate", "duplicate"]


def test_of_receipts_and_sync_at_once_each_sale_is_there_once(client, make, device):
    codes = [device.sell() for _ in range(6)]

    def by_receipts(order):
        return [result["status"] for result in restore_all(client, order)]

    outcomes = at_once(lambda: by_receipts(codes), lambda: by_receipts(codes[::-1]), device.sync)
    assert sum(statuses.count("created") for statuses in outcomes) == 6
    assert sum(statuses.count("duplicate") for statuses in outcomes) == 12
    assert make.stock(device.product) == 94


def test_a_secret_out_of_use_asks_why(client, runtime, device):
    old = device.sell()
    device.till |= client.post(f"/api/pos/tills/{device.till['id']}/rotate-key").json
    new = device.sell()
    before = tables(runtime)
    assert client.get(f"/api/pos/receipts/{old}").json["receipt"]["is_retired"] is True
    assert client.get(f"/api/pos/receipts/{new}").json["receipt"]["is_retired"] is False
    assert refused(restore(client, old), 422, "pos-retired-receipt-key")
    assert tables(runtime) == before
    assert restore(client, new).status_code == 201
    assert restore(client, old, reason="sold before the new key").status_code == 201
    lost = device.sell()
    client.post(f"/api/pos/tills/{device.till['id']}/deactivate", {"reason": "lost"})
    assert restore_all(client, [lost])[0]["error"]["code"] == "pos-retired-receipt-key"
    assert restore_all(client, [lost], reason="the till is lost")[0]["status"] == "created"


def test_the_servers_own_receipt_brings_back_nothing_twice(client, make, runtime, product):
    body = {"items": [(product, 1)], "channel": "pos", "external_id": str(uuid.uuid4()), "as_": "cashier"}
    sale = make.sale(**body)
    with runtime.unit_of_work() as session:
        code = receipt_code(session, sale.id)
    answer = restore(client, code)
    assert answer.status_code == 200 and answer.json["id"] == sale.id
    assert make.stock(product) == 99


# --- returns -----------------------------------------------------------------------------------------------


@pytest.fixture
def sale(make, product):
    """A sale of the supplier's: two lines of one product, with another one between them."""
    other = make.product(stock=9, price="3.00", barcode="40170725")
    return make.sale(
        [(product, 2), (other, 1), (product, 3)],
        channel="pos",
        as_="supplier",
        external_id=str(uuid.uuid4()),
        source_device="till-9",
        payments=[{"method": "cash", "amount": "33.00"}, {"method": "card", "amount": "20.00"}],
    )


@pytest.fixture
def code(runtime, sale):
    with runtime.unit_of_work() as session:
        return receipt_code(session, sale.id)


def quantities(answer):
    assert answer.status_code in (200, 201), answer.text
    return [(item["origin_line"], item["quantity"]) for item in answer.json["items"]]


def test_goods_come_back_by_the_receipt_whoever_sold_them(client, runtime, sale, code):
    with runtime.unit_of_work() as session:
        reference = receipt_reference(session, sale.id)
    first, second, third = (item["id"] for item in sale["items"])
    by_line = take_back(client, receipt=code, lines=[{"line_id": first, "quantity": 1}], reason="broken")
    assert by_line.status_code == 201 and quantities(by_line) == [(first, "-1")]
    assert (by_line.json["reason"], by_line.json["origin"]) == ("broken", sale.id)
    by_place = take_back(client, receipt=reference, lines=[{"position": 1, "quantity": 1, "restock": False}])
    assert quantities(by_place) == [(second, "-1")] and by_place.json["items"][0]["restock"] is False
    by_barcode = take_back(client, receipt=code, lines=[{"code": EAN13, "quantity": 2}])
    assert quantities(by_barcode) == [(first, "-1"), (third, "-1")]


def test_goods_come_back_by_number_and_key_for_who_may_see_the_sale(client, sale):
    lines = [{"position": 0, "quantity": 1}]
    for field, value in (("sale_number", sale["sale_number"]), ("sale_id", sale.id)):
        if field == "sale_id":
            # The number is printed on the receipt, the key is not.
            assert refused(take_back(client, **{field: value}, lines=lines), 404, "unknown-sale", field)
        assert take_back(client, as_="supplier", **{field: value}, lines=lines).status_code == 201
    assert refused(take_back(client, sale_number="OS1", lines=lines), 404, "unknown-sale", "sale_number")


def test_a_product_sold_twice_is_spread_over_its_lines(client, make, product, sale, code):
    first, _, third = (item["id"] for item in sale["items"])
    lines = [{"code": EAN13, "quantity": 1}, {"line_id": third, "quantity": 1}, {"code": EAN13, "quantity": 3}]
    answer = take_back(client, receipt=code, lines=lines)
    assert quantities(answer) == [(first, "-1"), (third, "-1"), (first, "-1"), (third, "-2")]
    assert make.stock(product) == 100
    more = take_back(client, receipt=code, lines=[{"code": EAN13, "quantity": 1}])
    assert refused(more, 422, "returns-more-than-sold", "lines.0.quantity")


@pytest.mark.parametrize(
    ("lines", "why", "field"),
    [
        ([{"code": EAN13, "quantity": 6}], "returns-more-than-sold", "lines.0.quantity"),
        (
            [{"position": 1, "quantity": 1}, {"code": EAN13, "quantity": 6}],
            "returns-more-than-sold",
            "lines.1.quantity",
        ),
        (
            [{"code": EAN13, "quantity": 5}, {"position": 2, "quantity": 1}],
            "returns-more-than-sold",
            "lines.1.quantity",
        ),
        ([{"position": 0, "quantity": 3}], "returns-more-than-sold", "lines.0.quantity"),
        ([{"position": 3, "quantity": 1}], "unknown-line", "lines.0.position"),
        ([{"line_id": 999_999, "quantity": 1}], "unknown-line", "lines.0.line_id"),
        ([{"code": "nothing", "quantity": 1}], "pos-not-of-this-sale", "lines.0.code"),
        ([{"code": "STRANGER", "quantity": 1}], "pos-not-of-this-sale", "lines.0.code"),
        ([{"code": EAN13, "quantity": "99999999999"}], "returns-more-than-sold", "lines.0.quantity"),
        ([{"quantity": 1}], "validation-failed", "lines.0.line_id"),
        ([{"position": 0, "code": EAN13, "quantity": 1}], "validation-failed", "lines.0.code"),
    ],
)
def test_what_is_not_of_the_sale_does_not_come_back(client, make, runtime, code, lines, why, field):
    make.product(sku="STRANGER", stock=5)
    before = tables(runtime)
    assert refused(take_back(client, receipt=code, lines=lines), 422, why, field)
    assert tables(runtime) == before


def test_a_pack_comes_back_with_all_that_is_in_it(client, make, product, code):
    client.post(f"/api/products/{product.id}/barcodes", {"code": "SIX", "pack_quantity": "2"})
    back = quantities(take_back(client, receipt=code, lines=[{"code": "SIX", "quantity": 2}]))
    assert [quantity for _, quantity in back] == ["-2", "-2"]
    answer = take_back(client, receipt=code, lines=[{"code": "SIX", "quantity": 1}])
    assert refused(answer, 422, "returns-more-than-sold", "lines.0.quantity")
    assert answer.json["errors"][0]["message"] == "Only 1 of it can come back."


def test_what_is_no_longer_sold_comes_back_all_the_same(client, make, product, code):
    client.delete(f"/api/products/{product.id}")
    assert take_back(client, receipt=code, lines=[{"code": EAN13, "quantity": 1}]).status_code == 201


def test_a_return_that_is_sent_again_is_the_same_return(client, make, product, sale, code):
    body = {"receipt": code, "lines": [{"code": EAN13, "quantity": 3}], "external_id": str(uuid.uuid4())}
    first = take_back(client, **body)
    again = take_back(client, **body)
    assert (first.status_code, again.status_code) == (201, 200) and again.json["id"] == first.json["id"]
    assert make.stock(product) == 98
    other = take_back(client, **{**body, "lines": [{"code": EAN13, "quantity": 2}]})
    assert refused(other, 409, "external-id-reused")
    assert take_back(client, receipt=code, lines=[{"code": EAN13, "quantity": 2}]).status_code == 201
    assert take_back(client, **body).status_code == 200


def test_money_goes_back_as_it_came_or_as_it_is_said(client, code):
    line = [{"code": EAN13, "quantity": 1}]
    split = [{"method": "card", "amount": "4.00"}, {"method": "cash", "amount": "6.00"}]
    answer = take_back(client, receipt=code, lines=line, refunds=split)
    assert answer.status_code == 201, answer.text
    assert {each["method"]: each["amount"] for each in answer.json["payments"]} == {"card": "-4.00", "cash": "-6.00"}
    assert take_back(client, receipt=code, lines=line, refund="card").json["payments"][0]["method"] == "card"
    assert refused(take_back(client, receipt=code, lines=line, refund="card"), 422, "refund-more-than-paid")
    assert take_back(client, receipt=code, lines=line, refund="shells").status_code == 422
    both = take_back(client, receipt=code, lines=line, refund="cash", refunds=split)
    assert refused(both, 422, "validation-failed", "refund")


def test_the_money_comes_from_the_drawer_where_the_goods_come_back(client, runtime, device, code):
    line = [{"code": EAN13, "quantity": 1}]
    assert take_back(client, receipt=code, lines=line, source_device="till-7").status_code == 201
    by_key = client.post("/api/pos/returns", {"receipt": code, "lines": line}, **device.key)
    assert by_key.status_code == 201, by_key.text
    foreign = client.post("/api/pos/returns", {"receipt": code, "lines": line, "source_device": "till-7"}, **device.key)
    assert refused(foreign, 403, "foreign-device", "source_device")
    unnamed = take_back(client, receipt=code, lines=line)
    assert documents(runtime) == [
        ("sale", "till-9"),
        ("return", "till-7"),
        ("return", "till-1"),
        ("return", f"user:{unnamed.json['seller']}"),
    ]


def test_a_receipt_of_a_sale_that_is_not_there_yet(client, make, runtime, device):
    code = device.sell()
    before = tables(runtime)
    lines = [{"position": 0, "quantity": 1}]
    assert refused(take_back(client, receipt=code, lines=lines), 409, "sale-not-synced", "receipt")
    assert tables(runtime) == before
    restore(client, code)
    assert take_back(client, receipt=code, lines=lines).status_code == 201
    assert make.stock(device.product) == 100


def test_a_receipt_that_says_something_else_than_its_sale_returns_nothing(client, device):
    code = device.sell()
    device.queue[0]["notes"] = "another"
    device.sync()
    answer = take_back(client, receipt=code, lines=[{"position": 0, "quantity": 1}])
    assert refused(answer, 409, "pos-receipt-differs", "receipt")


def test_another_shops_receipt_returns_nothing_here(client, make, runtime, sale, code):
    stranger = make.user("cashier", warehouses=[make.other])
    with runtime.unit_of_work() as session:
        reference = receipt_reference(session, sale.id)
    before = tables(runtime)
    for receipt in (code, reference):
        answer = take_back(client, receipt=receipt, lines=[{"position": 0, "quantity": 1}], as_=stranger)
        assert refused(answer, 403, "foreign-warehouse", "receipt")
    for role in ("accountant", "customer"):
        assert take_back(client, receipt=code, lines=[{"position": 0, "quantity": 1}], as_=role).status_code == 403
    assert tables(runtime) == before


def test_a_cancelled_sale_and_a_return_have_nothing_to_return(client, runtime, sale, code):
    lines = [{"position": 0, "quantity": 1}]
    back = take_back(client, receipt=code, lines=lines).json
    with runtime.unit_of_work() as session:
        reference = receipt_reference(session, back["id"])
    assert take_back(client, receipt=reference, lines=lines).status_code in (409, 422)


@pytest.mark.parametrize(
    ("said", "field"),
    [({}, "receipt"), ({"receipt": "x", "sale_id": 1}, "sale_id"), ({"sale_number": "x", "sale_id": 1}, "sale_id")],
)
def test_one_way_to_name_the_sale(client, said, field):
    assert refused(take_back(client, **said, lines=[{"position": 0, "quantity": 1}]), 422, "validation-failed", field)


def test_of_several_who_take_the_last_ones_back_at_once_nobody_gets_too_much(client, make, product, code):
    lines = [{"code": EAN13, "quantity": 1}]
    statuses = at_once(*[lambda: take_back(client, receipt=code, lines=lines).status_code] * 6)
    assert sorted(statuses) == [201, 201, 201, 201, 201, 422]
    assert make.stock(product) == 100
