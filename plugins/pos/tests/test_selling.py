"""The rules of selling as the counter meets them: discounts, prices, tenders, notes, cancelling, and who may."""

import uuid

import pytest

EAN13 = "4006381333931"


def sell(client, make, product, as_="cashier", quantity=1, item=None, **fields):
    line = {"product_id": product.id, "quantity": quantity} | (item or {})
    body = {"channel": "pos", "warehouse": make.main, "items": [line]} | fields
    return client.post("/api/sales", body, as_=as_)


def by_code(client, as_="cashier", headers=None, **body):
    return client.post(f"/api/pos/sell/{EAN13}", body, as_=as_, headers=headers)


def refused(answer, status, code, field):
    errors = [error["field"] for error in answer.json.get("errors", [])]
    return (answer.status_code, answer.json["code"]) == (status, code) and field in errors


@pytest.fixture
def tea(make):
    return make.product(barcode=EAN13, price="10.00", stock=100)


@pytest.fixture
def newcomer(client, make):
    """Somebody who may sell at the catalogue's price and nothing else."""
    body = {"name": "newcomer", "permissions": ["sales:sale:post", "sales:sale:read", "pos:code:sell"]}
    assert client.post("/api/roles", body).status_code == 201
    return make.user("newcomer")


def test_a_discount_on_a_line_within_the_limit(client, make, tea, newcomer):
    assert sell(client, make, tea, item={"discount_per_item": "2.00"}).json["total_amount"] == "8.00"
    assert by_code(client, discount_per_item="2.00").json["total_amount"] == "8.00"
    field = "items.0.discount_per_item"
    assert refused(sell(client, make, tea, item={"discount_per_item": "2.01"}), 403, "discount-limit", field)
    assert refused(by_code(client, discount_per_item="2.01"), 403, "discount-limit", "discount_per_item")
    answer = sell(client, make, tea, as_=newcomer, item={"discount_per_item": "0.01"})
    assert refused(answer, 403, "discount-limit", field)
    generous = {"discount_per_item": "9.00"}
    assert refused(sell(client, make, tea, as_="supplier", item=generous), 403, "discount-limit", field)
    assert sell(client, make, tea, as_="admin", item=generous).json["total_amount"] == "1.00"
    assert make.stock(tea) == 97


def test_a_discount_on_the_whole_counts_together_with_the_lines(client, make, tea, newcomer):
    within = sell(client, make, tea, quantity=2, item={"discount_per_item": "1.00"}, discount_amount="2.00")
    assert (within.json["total_amount"], within.json["discount_amount"]) == ("16.00", "2.00")
    beyond = sell(client, make, tea, quantity=2, item={"discount_per_item": "1.00"}, discount_amount="2.01")
    assert refused(beyond, 403, "discount-limit", "discount_amount")
    assert by_code(client, discount_amount="2.00").json["total_amount"] == "8.00"
    assert refused(by_code(client, as_=newcomer, discount_amount="0.01"), 403, "discount-limit", "discount_amount")
    assert make.stock(tea) == 97


def test_an_open_price_is_said_at_the_counter(client, make):
    product = make.product(barcode=EAN13, price_mode="open", price="0", tracking="none")
    # A price that the product was never sold at is for those who may set one.
    assert by_code(client, as_="supplier", unit_price="7.00", quantity=2).json["total_amount"] == "14.00"
    assert by_code(client).json["total_amount"] == "7.00"
    assert client.get(f"/api/pos/scan/{EAN13}", as_="cashier").json["price"] == "7.00"
    assert product.price == "0.00"


def test_a_tender_in_parts_and_the_change(client, make, tea):
    payments = [{"method": "card", "amount": "12.00"}, {"method": "cash", "amount": "20.00"}]
    for sold in (
        sell(client, make, tea, quantity=3, payments=payments),
        by_code(client, quantity=3, payments=payments),
    ):
        assert sold.status_code == 201, sold.text
        assert (sold.json["total_amount"], sold.json["change_due"]) == ("30.00", "2.00")
        assert [(each["method"], each["amount"], each["change"]) for each in sold.json["payments"]] == [
            ("card", "12.00", "0.00"),
            ("cash", "20.00", "2.00"),
        ]
    short = by_code(client, quantity=3, payments=[{"method": "cash", "amount": "29.99"}])
    assert short.status_code == 422 and short.json["errors"][0]["field"].startswith("payments")
    card = by_code(client, payments=[{"method": "card", "amount": "11.00"}])
    assert card.status_code == 422 and card.json["errors"][0]["field"].startswith("payments")
    unknown = by_code(client, payments=[{"method": "shells", "amount": "10.00"}])
    assert unknown.status_code == 422 and unknown.json["errors"][0]["field"] == "payments.0.method"
    assert make.stock(tea) == 94


def test_a_customer_notes_and_the_device_go_on_the_sale(client, make, tea):
    customer = make.customer("Anna", phone="123")
    sold = by_code(
        client,
        customer_id=customer.id,
        customer_email="anna@test.com",
        notes="two bags\nplease",
        source_device="till-7",
        device_number=12,
        client_timestamp="2026-01-31T14:30:00Z",
        external_id=str(uuid.uuid4()),
    )
    assert sold.status_code == 201, sold.text
    said = ("customer_id", "customer_name", "customer_phone", "customer_email", "notes", "source_device")
    assert [sold.json[name] for name in said] == [
        customer.id,
        "Anna",
        "123",
        "anna@test.com",
        "two bags\nplease",
        "till-7",
    ]
    assert (sold.json["device_number"], sold.json["client_timestamp"]) == (12, "2026-01-31T14:30:00.000000Z")
    nobody = by_code(client, customer_id=999_999)
    assert refused(nobody, 422, "unknown-customer", "customer_id") and make.stock(tea) == 99


def test_a_device_sells_by_code_in_its_own_name(client, make, tea):
    cashier = make.user("cashier")
    body = {"name": "t", "scopes": ["pos:code:sell", "sales:sale:post"], "user": cashier.id, "device": "till-9"}
    headers = {"X-API-Key": client.post("/api/api-keys", body).json["key"]}
    assert by_code(client, as_=None, headers=headers).json["source_device"] == "till-9"
    answer = by_code(client, as_=None, headers=headers, source_device="till-1")
    assert refused(answer, 403, "foreign-device", "source_device") and make.stock(tea) == 99


def test_what_a_retry_says_otherwise_is_refused(client, make, tea):
    body = {"external_id": str(uuid.uuid4()), "notes": "one"}
    first = by_code(client, **body)
    assert by_code(client, **body).json == first.json
    # Written in another way, the same.
    again = by_code(client, **body | {"external_id": body["external_id"].upper(), "quantity": "1.0"})
    assert (again.status_code, again.json["id"]) == (200, first.json["id"])
    other = by_code(client, **body | {"notes": "two"})
    assert refused(other, 409, "external-id-reused", "external_id") and make.stock(tea) == 99


def test_cancelling_takes_a_reason_and_the_permission(client, make, tea):
    sale = by_code(client, quantity=4).json
    denied = client.post(f"/api/sales/{sale['id']}/cancel", {"reason": "wrong"}, as_="cashier")
    assert (denied.status_code, denied.json["code"]) == (403, "permission-denied") and make.stock(tea) == 96
    unsaid = client.post(f"/api/sales/{sale['id']}/cancel", {}, as_="admin")
    assert unsaid.status_code == 422 and unsaid.json["errors"][0]["field"] == "reason"
    cancelled = client.post(f"/api/sales/{sale['id']}/cancel", {"reason": "wrong"}, as_="admin")
    assert cancelled.status_code == 200, cancelled.text
    shown = client.get(f"/api/sales/{sale['id']}", as_="cashier").json
    assert (shown["is_cancelled"], shown["cancelled_reason"]) == (True, "wrong") and make.stock(tea) == 100


def test_anothers_sale_is_not_seen(client, make, tea):
    sale = by_code(client).json
    colleague = make.user("cashier")
    assert client.get(f"/api/sales/{sale['id']}", as_=colleague).status_code == 404
    assert client.get(f"/api/sales/{sale['id']}", as_="accountant").status_code == 200
