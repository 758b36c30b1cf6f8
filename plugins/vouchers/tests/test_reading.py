"""Who sees which voucher, how it is found, what is owed, and what is printed."""

from datetime import timedelta

import pytest

from tillhook.db import utc_now
from tillhook.testing import clean, damage, differences


def test_a_code_is_seen_by_who_issued_it_and_who_may(client, make):
    voucher = make.voucher("50.00")
    role = {"name": "desk", "permissions": ["vouchers:voucher:read", "vouchers:voucher:issue"]}
    assert client.post("/api/roles", role).status_code == 201
    clerk = make.user("desk")
    own = client.post("/api/vouchers", {"amount": "5", "reason": "late"}, as_=clerk).json
    [seen] = client.get("/api/vouchers", as_=clerk).json["items"]
    assert seen["code"] == own["code"] and len(own["code"]) == 19
    assert [each["code"] for each in client.get("/api/vouchers", as_="accountant").json["items"]] == [
        f"…{own['code'][-4:]}",
        f"…{voucher.code[-4:]}",
    ]
    assert client.get("/api/vouchers").json["items"][1]["code"] == voucher.code
    assert client.get("/api/vouchers", as_="cashier").json["items"] == []
    assert client.get(f"/api/vouchers/{voucher.code}", as_="cashier").json["balance"] == "50.00"
    assert client.post("/api/vouchers", {"amount": "5", "reason": "x"}, as_="cashier").status_code == 403
    assert client.get("/api/vouchers/liabilities", as_="cashier").status_code == 403


def test_guessing_is_slowed_down(client, make):
    voucher = make.voucher()
    for number in range(10):
        answer = client.get(f"/api/vouchers/GUESS-{number:04}", as_="cashier")
        assert answer.status_code == 404 and answer.json["code"] == "vouchers-unknown-code"
    answer = client.get(f"/api/vouchers/{voucher.code}", as_="cashier")
    assert answer.status_code == 429 and answer.json["retry_after_s"] <= 10
    assert client.get("/api/vouchers", params={"code": voucher.code}, as_="cashier").status_code == 429
    assert client.get(f"/api/vouchers/{voucher.code}", as_="supplier").status_code == 200
    mistyped = client.get("/api/vouchers/0000-0000-0000-0001")
    assert mistyped.status_code == 404 and mistyped.json["code"] == "vouchers-code-mistyped"


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "1.005"}, "amount"),
        ({"kind": "unknown"}, "kind"),
        ({"customer_id": 999}, "customer_id"),
        ({"expires_on": "2020-01-01"}, "expires_on"),
        ({"code": "SHORT1"}, "code"),
        ({"code": "LIABILITIES"}, "code"),
        ({"reason": ""}, "reason"),
    ],
)
def test_a_bad_voucher_is_refused_by_name(client, fields, field):
    answer = client.post("/api/vouchers", {"amount": "5", "reason": "x", **fields})
    assert answer.status_code == 422 and answer.json["errors"][0]["field"] == field, answer.text
    assert client.get("/api/vouchers").json["items"] == []


def test_vouchers_are_found(client, make, bread):
    anna, soon = make.customer("Anna"), (utc_now() + timedelta(days=5)).date().isoformat()
    first = make.voucher("50.00", customer_id=anna.id, expires_on=soon)
    second = make.voucher("20.00", kind="gift_card", code="Printed Card 42")
    client.post("/api/sales", make.body(bread, payments=make.by(second.code, "20.00")))

    def found(**params):
        return [each["id"] for each in client.get("/api/vouchers", params=params).json["items"]]

    assert found(customer_id=anna.id) == found(kind="store_credit") == found(status="active") == [first.id]
    assert found(expiring_before=(utc_now() + timedelta(days=9)).date().isoformat()) == [first.id]
    assert found(expiring_before=soon) == []
    assert found(status="used") == found(code="PRINTEDCARD-42") == found(kind="gift_card") == [second.id]
    assert client.get("/api/vouchers", params={"code": "NOBODY-001"}).status_code == 404
    assert found(ordering="expires_on") == [first.id, second.id]


def test_what_is_owed(client, make, bread, runtime):
    make.voucher("50.00", kind="gift_card")
    credit, void = make.voucher("40.00"), make.voucher("10.00")
    client.post(f"/api/vouchers/{void.code}/void", {"reason": "x"})
    sale = client.post("/api/sales", make.body(bread, payments=make.by(credit.code, "20.00"))).json
    line = {"lines": [{"position": 0, "quantity": "1"}]}
    client.post(f"/api/sales/{sale['id']}/returns", line)
    zero = dict.fromkeys(("outstanding", "overdrawn", "issued", "redeemed", "given_back", "expired", "voided"), "0.00")
    currency = {"currency": sale["currency"]}
    answer = client.get("/api/vouchers/liabilities", as_="accountant").json
    assert answer["items"] == [
        {**zero, **currency, "kind": "gift_card", "count": 1, "outstanding": "50.00", "issued": "50.00"},
        {
            **{**zero, **currency, "kind": "store_credit", "count": 1, "outstanding": "40.00", "issued": "50.00"},
            **{"redeemed": "20.00", "given_back": "20.00", "voided": "10.00"},
        },
    ]
    tomorrow = (utc_now() + timedelta(days=2)).date().isoformat()
    ahead = client.get("/api/vouchers/liabilities", params={"as_of": tomorrow, "start_date": tomorrow}).json["items"]
    assert [(each["outstanding"], each["issued"]) for each in ahead] == [("50.00", "0.00"), ("40.00", "0.00")]
    assert client.get("/api/vouchers/liabilities", params={"as_of": "2020-01-01"}).json["items"] == []
    report = runtime.registry.reports["voucher-liabilities"]
    with runtime.unit_of_work(write=False) as session:
        rows = list(report.rows(session, {"as_of": None, "start_date": None}))
    assert [row[3] for row in rows] == [50, 40] and all(len(row) == len(report.columns) for row in rows)
    assert clean(runtime)


def test_what_is_done_is_audited_and_told_without_the_code(client, make):
    voucher = make.voucher("50.00")
    client.patch(f"/api/vouchers/{voucher.code}", {"expires_on": "2099-12-31", "reason": "x"})
    client.post(f"/api/vouchers/{voucher.code}/void", {"reason": "x"})
    again = client.post(f"/api/vouchers/{voucher.code}/void", {"reason": "x"})
    assert again.status_code == 409 and again.json["code"] == "vouchers-void"
    log = client.get("/api/audit", params={"entity": "voucher"})
    assert [each["action"] for each in log.json["items"]] == ["void", "extend", "issue"]
    events = client.get("/api/events")
    assert {each["name"] for each in events.json["items"]} >= {"voucher:issued", "voucher:voided"}
    assert voucher.code not in log.text + events.text and voucher.code[-4:] in events.text


def test_a_card_is_printed(client, make):
    voucher = make.voucher("50.00", kind="gift_card", expires_on="2099-12-31")
    text = client.get(f"/api/vouchers/{voucher.code}/card", params={"format": "text"}, as_="cashier").text
    assert voucher.code in text and "50.00" in text and "2099-12-31" in text and "Gift card" in text
    pdf = client.get(f"/api/vouchers/{voucher.code}/card")
    assert pdf.content.startswith(b"%PDF") and pdf.headers["content-type"] == "application/pdf"
    assert client.get("/api/vouchers/NOBODY-001/card").status_code == 404


def test_damage_is_named(client, make, bread, runtime):
    voucher = make.voucher("50.00")
    client.post("/api/sales", make.body(bread, payments=make.by(voucher.code, "20.00")))
    assert clean(runtime)
    damage(
        runtime,
        "UPDATE voucher SET balance = -10000",
        "UPDATE voucher_entry SET amount = -190000 WHERE kind = 'redeemed'",
    )
    found = [each for each in differences(runtime) if each.invariant.startswith("voucher")]
    subjects = [each.subject for each in found]
    assert subjects == ["voucher 1", "voucher 1, never used offline", subjects[2]] and subjects[2].startswith("sale ")
    shown = [(each.expected, each.actual) for each in found]
    assert shown == [("31.00", "-1.00"), ("0.00", "-1.00"), ("20.00", "19.00")]


def test_balances_are_repaired_from_their_entries(client, make, bread, runtime):
    vouchers = [make.voucher("50.00") for _ in range(2)]
    client.post("/api/sales", make.body(bread, payments=make.by(vouchers[0].code, "20.00")))
    damage(runtime, "UPDATE voucher SET balance = balance + 10000")
    with runtime.unit_of_work() as session:
        runtime.registry.invariants["vouchers.balances"].repair(session)
    assert [make.balance(each.code) for each in vouchers] == ["30.00", "50.00"]
    assert clean(runtime)


def test_a_gift_card_product_is_not_deleted(client, make):
    card = make.gift_card()
    answer = client.delete(f"/api/products/{card.id}")
    assert answer.status_code < 500
