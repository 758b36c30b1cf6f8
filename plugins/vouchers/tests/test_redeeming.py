"""Paying by voucher: partly, never twice, and offline what has happened."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from tillhook.db import format_instant, utc_now
from tillhook.runtime import Runtime
from tillhook.testing import clean
from tillhook_vouchers.models import VoucherGuess


def sell(client, body, as_="cashier"):
    return client.post("/api/sales", body, as_=as_)


def sync(client, *bodies):
    moment = format_instant(utc_now() - timedelta(hours=1))
    sales = [{"client_timestamp": moment, **body} for body in bodies]
    results = client.post("/api/sales/sync", {"sales": sales}, as_="cashier").json["results"]
    assert [result["status"] for result in results] == ["created"] * len(bodies), results
    return [result["sale"] for result in results]


def later(runtime: Runtime, days: int, monkeypatch) -> None:
    """Let it be some days later for vouchers."""
    from tillhook.reference import Calendar

    today = Calendar.today
    monkeypatch.setattr(Calendar, "today", lambda self: today(self) + timedelta(days=days))


def test_a_voucher_is_spent_in_parts(client, make, bread, runtime):
    voucher = make.voucher("50.00")
    typed = voucher.code.replace("-", " ").lower()
    sale = sell(client, make.body(bread, payments=make.by(typed, "20.00"))).json
    assert sale["payments"] == [{"method": "voucher", "amount": "20.00", "change": "0.00", "reference": voucher.code}]
    assert sell(client, make.body(bread, payment_method="voucher", payment_reference=typed)).status_code == 201
    both = [*make.by(typed, "10.00"), {"method": "cash", "amount": "20.00"}]
    assert sell(client, make.body(bread, payments=both)).json["change_due"] == "10.00"
    shown = client.get(f"/api/vouchers/{typed}", as_="cashier").json
    assert (shown["balance"], shown["status"]) == ("0.00", "used")
    assert [(each["kind"], each["amount"]) for each in shown["entries"]] == [
        ("issued", "50.00"),
        ("redeemed", "-20.00"),
        ("redeemed", "-20.00"),
        ("redeemed", "-10.00"),
    ]
    assert shown["entries"][1]["document_id"] == sale["id"]
    refused = sell(client, make.body(bread, payments=make.by(typed, "20.00")))
    assert refused.status_code == 409 and refused.json["code"] == "vouchers-too-little"
    assert clean(runtime)


def test_more_than_there_is_says_the_balance(client, make, bread, runtime):
    voucher = make.voucher("15.00")
    answer = sell(client, make.body(bread, payment_method="voucher", payment_reference=voucher.code))
    assert answer.status_code == 409 and answer.json["balance"] == "15.00"
    assert answer.json["errors"][0]["field"] == "payment_reference"
    twice = [*make.by(voucher.code, "10.00"), *make.by(voucher.code.lower(), "10.00")]
    answer = sell(client, make.body(bread, payments=twice))
    assert answer.status_code == 409 and answer.json["balance"] == "5.00"
    assert answer.json["errors"][0]["field"] == "payments.1.reference"
    assert make.balance(voucher.code) == "15.00" and make.stock(bread) == 500
    assert clean(runtime)


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("", "vouchers-code-missing"),
        ("--", "vouchers-code-missing"),
        ("PEBBLES-1", "vouchers-unknown-code"),
        ("0000-0000-0000-0001", "vouchers-code-mistyped"),
        ("4006381333931", "vouchers-unknown-code"),
    ],
)
def test_a_code_that_is_none_is_refused_by_name(client, make, bread, reference, code):
    answer = sell(client, make.body(bread, payments=make.by(reference, "20.00")))
    assert answer.status_code == 422 and answer.json["code"] == code
    assert answer.json["errors"][0]["field"] == "payments.0.reference"


def test_one_that_is_over_pays_nothing(client, make, bread, runtime, monkeypatch):
    assert client.patch("/api/settings", {"vouchers.valid_days": 30}).status_code == 200
    voucher, void = make.voucher("50.00"), make.voucher("50.00")
    assert client.post(f"/api/vouchers/{void.code}/void", {"reason": "stolen"}).json["balance"] == "0.00"
    assert sell(client, make.body(bread, payments=make.by(void.code, "20.00"))).json["code"] == "vouchers-void"
    later(runtime, 30, monkeypatch)
    assert sell(client, make.body(bread, payments=make.by(voucher.code, "20.00"))).status_code == 201
    later(runtime, 1, monkeypatch)
    assert sell(client, make.body(bread, payments=make.by(voucher.code, "20.00"))).json["code"] == "vouchers-expired"
    from tillhook_vouchers.services import expire

    for _ in range(2):
        with runtime.unit_of_work(lazy=True) as session:
            expire(session)
    shown = client.get(f"/api/vouchers/{voucher.code}").json
    assert (shown["balance"], shown["status"]) == ("0.00", "expired")
    body = {"expires_on": None, "reason": "she was ill"}
    assert client.patch(f"/api/vouchers/{voucher.code}", body, as_="cashier").status_code == 403
    extended = client.patch(f"/api/vouchers/{voucher.code}", body).json
    assert (extended["balance"], extended["status"]) == ("30.00", "active")
    assert [each["kind"] for each in extended["entries"]] == ["issued", "redeemed", "expired", "reinstated"]
    assert sell(client, make.body(bread, payments=make.by(voucher.code, "20.00"))).status_code == 201
    assert clean(runtime)


def test_offline_more_than_there_is_is_taken_and_seen(client, make, bread, runtime):
    voucher = make.voucher("30.00")
    # The same one twice in a sale and twice in a batch.
    halves = [*make.by(voucher.code, "10.00"), *make.by(voucher.code, "10.00")]
    sync(client, make.body(bread, payments=halves), make.body(bread, payments=make.by(voucher.code, "20.00")))
    shown = client.get(f"/api/vouchers/{voucher.code}").json
    assert (shown["balance"], shown["status"]) == ("-10.00", "overdrawn")
    assert [each["id"] for each in client.get("/api/vouchers", params={"status": "overdrawn"}).json["items"]] == [
        voucher.id
    ]
    [owed] = client.get("/api/vouchers/liabilities").json["items"]
    assert (owed["outstanding"], owed["overdrawn"], owed["redeemed"]) == ("0.00", "10.00", "40.00")
    names = [each["name"] for each in client.get("/api/events", params={"limit": 200}).json["items"]]
    assert names.count("voucher:redeemed") == 3 and names.count("voucher:overdrawn") == 1
    assert clean(runtime)


@pytest.mark.parametrize("code", ["SPRING-2026-0001", "?", "0000-0000-0000-0001"])
def test_offline_an_unknown_code_loses_no_sale(client, make, bread, runtime, code):
    [sale] = sync(client, make.body(bread, payments=make.by(code, "20.00")))
    [voucher] = client.get("/api/vouchers", params={"kind": "unknown"}).json["items"]
    assert (voucher["balance"], voucher["status"], voucher["sale"]) == ("-20.00", "overdrawn", sale["id"])
    assert voucher["code"] == sale["payments"][0]["reference"]
    assert clean(runtime)


def test_a_printed_code_that_was_sold_by_first_is_issued_then(client, make, bread, runtime):
    sync(client, make.body(bread, payments=make.by("spring 2026 0001", "20.00")))
    voucher = make.voucher("50.00", kind="gift_card", code="SPRING-2026-0001")
    assert (voucher.balance, voucher.kind) == ("30.00", "gift_card")
    again = client.post("/api/vouchers", {"amount": "1", "reason": "x", "code": "SPRING 20260001"})
    assert again.status_code == 409 and again.json["code"] == "vouchers-code-taken"
    assert clean(runtime)


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "one"}])
def test_guessing_at_the_till_is_slowed_down(client, make, bread, headers):
    voucher = make.voucher("50.00")

    def pay(code):
        body = make.body(bread, payments=make.by(code, "20.00"))
        return client.post("/api/sales", body, as_="cashier", headers=headers)

    assert [pay(f"GUESS-{number:04}").status_code for number in range(10)] == [422] * 10
    answer = pay(voucher.code)
    assert answer.status_code == 429 and answer.json["code"] == "too-many-attempts"
    assert client.get(f"/api/vouchers/{voucher.code}", as_="cashier").status_code == 429
    # Whoever pays otherwise is not held up, and what happened offline has happened.
    assert client.post("/api/sales", make.body(bread), as_="cashier").status_code == 201
    sync(client, make.body(bread, payments=make.by(voucher.code, "20.00")))
    assert make.balance(voucher.code) == "30.00"


def test_codes_that_a_wrong_clock_counted_hold_nobody_up(client, make, bread, runtime):
    voucher = make.voucher("50.00")
    for number in range(11):
        client.get(f"/api/vouchers/GUESS-{number:04}", as_="cashier")
    assert client.get(f"/api/vouchers/{voucher.code}", as_="cashier").status_code == 429
    with runtime.unit_of_work() as session:
        session.execute(update(VoucherGuess).values(last_at=utc_now() + timedelta(days=40)))
    assert client.get(f"/api/vouchers/{voucher.code}", as_="cashier").status_code == 200


def test_another_currency_is_another_money(client, make, bread):
    voucher = make.voucher("50.00")
    assert client.patch("/api/settings", {"currency": "XTS"}).status_code == 200
    assert (
        sell(client, make.body(bread, payments=make.by(voucher.code, "20.00"))).json["code"]
        == "vouchers-other-currency"
    )


def test_a_repeated_sale_spends_once(client, make, bread, runtime):
    voucher = make.voucher("50.00")
    body = make.body(bread, payments=make.by(voucher.code, "20.00"))
    assert [sell(client, body).status_code for _ in range(3)] == [201, 200, 200]
    assert Decimal(make.balance(voucher.code)) == 30
    assert clean(runtime)
