"""Money that goes back on vouchers: to where it came from, or on a new one."""

import pytest

from tillhook.testing import clean


def take_back(client, sale, quantity="1", **fields):
    lines = [{"position": 0, "quantity": quantity}]
    return client.post(f"/api/sales/{sale['id']}/returns", {"lines": lines, **fields})


def payments(answer):
    return [(each["method"], each["amount"], each["reference"]) for each in answer.json["payments"]]


def test_a_refund_becomes_store_credit(client, make, bread, runtime):
    customer = make.customer()
    sale = client.post("/api/sales", make.body(bread, "2", customer_id=customer.id)).json
    [(method, amount, code)] = payments(take_back(client, sale, refund="voucher"))
    assert (method, amount) == ("voucher", "-20.00")
    shown = client.get(f"/api/vouchers/{code}").json
    assert (shown["kind"], shown["balance"], shown["customer_id"]) == ("store_credit", "20.00", customer.id)
    assert [each["kind"] for each in shown["entries"]] == ["refunded"]
    # Split: some in cash, some on the same voucher.
    refunds = [{"method": "cash", "amount": "5.00"}, *make.by(code, "15.00")]
    assert ("voucher", "-15.00", code) in payments(take_back(client, sale, refunds=refunds))
    assert make.balance(code) == "35.00"
    assert clean(runtime)


def test_an_exchange_and_a_cancellation_too(client, make, bread, runtime):
    roll = make.product(price="5.00", stock=50)
    sale = client.post("/api/sales", make.body(bread)).json
    back = {"sale_id": sale["id"], "lines": [{"position": 0, "quantity": "1"}]}
    [(method, amount, code)] = payments(client.post("/api/sales", make.body(roll, returns=back, refund="voucher")))
    assert (method, amount, make.balance(code)) == ("voucher", "-15.00", "15.00")
    other = client.post("/api/sales", make.body(bread)).json
    cancelled = client.post(f"/api/sales/{other['id']}/cancel", {"reason": "x", "refund": "voucher"}).json
    [refund] = cancelled["refunds"]
    assert refund["method"] == "voucher" and make.balance(refund["reference"]) == "20.00"
    assert clean(runtime)


def test_what_was_paid_by_voucher_goes_back_to_it(client, make, bread, runtime):
    first, second = make.voucher("10.00"), make.voucher("30.00")
    paid = [*make.by(first.code, "10.00"), *make.by(second.code, "20.00"), {"method": "card", "amount": "10.00"}]
    sale = client.post("/api/sales", make.body(bread, "2", payments=paid)).json
    assert payments(take_back(client, sale)) == [
        ("voucher", "-10.00", first.code),
        ("voucher", "-10.00", second.code),
    ]
    assert payments(take_back(client, sale)) == [("voucher", "-10.00", second.code), ("card", "-10.00", "")]
    assert (make.balance(first.code), make.balance(second.code)) == ("10.00", "30.00")
    other = client.post("/api/sales", make.body(bread, payments=make.by(second.code, "20.00"))).json
    assert client.post(f"/api/sales/{other['id']}/cancel", {"reason": "x"}).status_code == 200
    assert make.balance(second.code) == "30.00"
    assert clean(runtime)


def test_of_one_that_is_over_a_new_one_is_made(client, make, bread, runtime):
    voucher = make.voucher("50.00")
    sale = client.post("/api/sales", make.body(bread, payments=make.by(voucher.code, "20.00"))).json
    assert client.post(f"/api/vouchers/{voucher.code}/void", {"reason": "lost"}).status_code == 200
    asked = take_back(client, sale, refunds=make.by(voucher.code, "20.00"))
    assert asked.status_code == 409 and asked.json["code"] == "vouchers-void"
    [(_, _, code)] = payments(take_back(client, sale))
    assert code != voucher.code and make.balance(code) == "20.00" and make.balance(voucher.code) == "0.00"
    assert clean(runtime)


def test_a_refund_to_a_code_that_is_none(client, make, bread):
    sale = client.post("/api/sales", make.body(bread)).json
    answer = take_back(client, sale, refunds=make.by("PEBBLES-1", "20.00"))
    assert answer.status_code == 422 and answer.json["code"] == "vouchers-unknown-code"
    assert answer.json["errors"][0]["field"] == "refunds"


@pytest.mark.parametrize("reference", ["", "PRINTED-0001"])
def test_offline_a_refund_became_a_voucher(client, make, bread, runtime, reference):
    sale = client.post("/api/sales", make.body(bread)).json
    body = make.body(bread, returns={"sale_id": sale["id"], "lines": [{"position": 0, "quantity": "1"}]})
    del body["items"]
    body["refunds"] = make.by(reference, "20.00")
    [result] = client.post("/api/sales/sync", {"sales": [body]}).json["results"]
    [payment] = result["sale"]["payments"]
    assert make.balance(payment["reference"]) == "20.00"
    assert reference in ("", payment["reference"])
    assert clean(runtime)
