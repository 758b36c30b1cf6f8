"""Till sessions: from the float to the count, what X and Z reports say, and whose documents are in them."""

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tillhook.db import format_instant, utc_now
from tillhook.testing import differences

TILL = "pos-01"


class Shop:
    """What these tests do at a till, each step checked."""

    def __init__(self, client, make):
        self.client, self.make = client, make

    def open(self, till=TILL, opening_float="100.00", as_="cashier", **fields):
        body = {"opening_float": opening_float, **({"till": till} if till else {}), **fields}
        answer = self.client.post("/api/pos/sessions", body, as_=as_)
        assert answer.status_code == 201, answer.text
        return answer.json

    def sell(self, product, quantity=1, till=TILL, as_="cashier", **fields):
        device = {"source_device": till} if till else {}
        return self.make.sale([(product, quantity)], channel="pos", as_=as_, **device, **fields)

    def sync(self, *sales, as_="cashier"):
        answer = self.client.post("/api/sales/sync", {"sales": list(sales)}, as_=as_)
        assert [result["status"] for result in answer.json["results"]] == ["created"] * len(sales), answer.text
        return [result["sale"] for result in answer.json["results"]]

    def offline(self, product, at, till=TILL, **fields):
        item = {"product_id": product.id, "quantity": "1", "unit_price": product.price}
        return {
            "external_id": str(uuid.uuid4()),
            "channel": "pos",
            "source_device": till,
            "warehouse": self.make.main,
            "client_timestamp": at if isinstance(at, str) else format_instant(at),
            "items": [item],
            **fields,
        }

    def cash(self, session, direction, amount, reason="change", as_="cashier"):
        body = {"direction": direction, "amount": amount, "reason": reason}
        answer = self.client.post(f"/api/pos/sessions/{session['id']}/cash", body, as_=as_)
        assert answer.status_code == 201, answer.text
        return answer.json

    def report(self, session, as_="cashier"):
        answer = self.client.get(f"/api/pos/sessions/{session['id']}/report", as_=as_)
        assert answer.status_code == 200, answer.text
        return answer.json

    def text(self, session, as_="cashier"):
        answer = self.client.get(f"/api/pos/sessions/{session['id']}/report", params={"format": "text"}, as_=as_)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        return answer.text

    def close(self, session, counted="0", as_="cashier", **fields):
        answer = self.try_close(session, as_=as_, **{"counted_cash": counted, **fields})
        assert answer.status_code == 200, answer.text
        return self.report(session, as_=as_)

    def try_close(self, session, as_="cashier", **body):
        return self.client.post(f"/api/pos/sessions/{session['id']}/close", body, as_=as_)

    def back(self, sale, as_="cashier"):
        lines = [{"line_id": sale["items"][0]["id"], "quantity": "1"}]
        body = {"lines": lines, "reason": "x", "source_device": sale["source_device"]}
        answer = self.client.post(f"/api/sales/{sale['id']}/returns", body, as_=as_)
        assert answer.status_code == 201, answer.text
        return answer.json

    def cancel(self, sale, as_="admin"):
        body = {"reason": "x", "source_device": sale["source_device"]}
        answer = self.client.post(f"/api/sales/{sale['id']}/cancel", body, as_=as_)
        assert answer.status_code == 200, answer.text

    def set(self, **values):
        body = {key.replace("__", "."): value for key, value in values.items()}
        assert self.client.patch("/api/settings", body).status_code == 200


@pytest.fixture
def shop(client, make):
    return Shop(client, make)


@pytest.fixture
def bread(make):
    return make.product(price="10.00", stock=1000, category=make.category("Food").id)


@pytest.fixture
def verified(runtime):
    """After the test, verify finds nothing wrong."""
    yield
    assert differences(runtime) == []


def claims(runtime):
    with runtime.database.connect() as connection:
        rows = connection.exec_driver_sql("SELECT sale_id, session_id, is_late FROM pos_document")
        return {row[0]: (row[1], bool(row[2])) for row in rows}


def refused(answer, status, code, field=None):
    named = [error["field"] for error in answer.json.get("errors", ())]
    return (answer.status_code, answer.json["code"]) == (status, code) and (field is None or field in named)


def execute(runtime, statement):
    with runtime.unit_of_work() as session:
        session.connection().exec_driver_sql(statement)


# --- opening -----------------------------------------------------------------------------------------------


def test_a_new_till_is_made_by_its_first_session(client, make, shop):
    opened = shop.open(notes="early")
    assert opened["till"] == TILL and opened["warehouse"] == make.main and opened["status"] == "open"
    assert opened["opening_float"] == "100.00" and opened["notes"] == "early"
    assert opened["expected_cash"] is None and opened["z_number"] is None
    assert client.get(f"/api/pos/sessions/{opened['id']}", as_="cashier").json == opened


def test_a_till_has_one_open_session(client, shop):
    opened = shop.open()
    answer = client.post("/api/pos/sessions", {"till": TILL}, as_="supplier")
    assert refused(answer, 409, "pos-session-open") and answer.json["session"] == opened["id"]
    shop.open("pos-02")
    shop.close(opened)
    assert shop.open()["id"] != opened["id"]


def test_a_person_without_a_device_has_one_session_of_the_own(client, shop):
    mine = shop.open(None)
    assert mine["till"] == f"user:{mine['opened_by']}"
    assert refused(client.post("/api/pos/sessions", {}, as_="cashier"), 409, "pos-session-open")
    assert refused(client.post("/api/pos/sessions", {"till": mine["till"]}, as_="cashier"), 409, "pos-session-open")
    assert shop.open(None, as_="supplier")["till"] != mine["till"]


@pytest.mark.parametrize("name", ["web", "user:1", "user:"])
def test_a_name_that_is_nobodys_till_is_refused(client, name):
    answer = client.post("/api/pos/sessions", {"till": name}, as_="cashier")
    assert refused(answer, 422, "pos-reserved-name", "till")


def test_a_till_stays_in_its_warehouse(client, make, shop):
    shop.close(shop.open("pos-07", as_="admin", warehouse=make.other), as_="admin")
    answer = client.post("/api/pos/sessions", {"till": "pos-07"}, as_="cashier")
    assert refused(answer, 403, "foreign-warehouse", "till")
    answer = client.post("/api/pos/sessions", {"till": "pos-07", "warehouse": make.main}, as_="cashier")
    assert refused(answer, 422, "pos-till-elsewhere", "till")
    answer = client.post("/api/pos/sessions", {"warehouse": make.other}, as_="cashier")
    assert refused(answer, 403, "foreign-warehouse", "warehouse")
    answer = client.post("/api/pos/sessions", {"warehouse": 999_999}, as_="cashier")
    assert refused(answer, 422, "unknown-warehouse", "warehouse")


def test_a_persons_own_drawer_goes_where_the_person_works(client, make, shop):
    for place in (make.main, make.other, make.main):
        assert shop.open(None, as_="admin", warehouse=place)["warehouse"] == place
        session = client.get("/api/pos/sessions", params={"status": "open"}).json["items"][0]
        shop.close(session, as_="admin")


def test_a_till_out_of_use_is_not_opened(client, shop, runtime):
    shop.close(shop.open())
    execute(runtime, "UPDATE pos_till SET is_active = false")
    assert refused(client.post("/api/pos/sessions", {"till": TILL}, as_="cashier"), 422, "pos-till-inactive", "till")


@pytest.fixture
def device(client, make):
    """The headers of a key that is bound to the till."""
    person = make.user("supplier")

    def made(name):
        me = client.get("/api/auth/me", as_=person).json
        body = {"name": name, "device": name, "scopes": me["permissions"], "user": person.id}
        return {"X-API-Key": client.post("/api/api-keys", body).json["key"]}

    return made


def test_a_device_opens_its_own_till_and_sees_no_other(client, shop, device):
    first, second = device("pos-01"), device("pos-02")
    opened = client.post("/api/pos/sessions", {}, as_=None, headers=first).json
    assert opened["till"] == "pos-01"
    answer = client.post("/api/pos/sessions", {"till": "pos-01"}, as_=None, headers=second)
    assert refused(answer, 403, "foreign-device", "till")
    path = f"/api/pos/sessions/{opened['id']}"
    assert client.get(path, as_=None, headers=first).status_code == 200
    assert client.get(path, as_=None, headers=second).status_code == 404
    assert client.get(path + "/report", as_=None, headers=second).status_code == 404
    assert client.post(path + "/close", {"counted_cash": 0}, as_=None, headers=second).status_code == 404
    assert client.get("/api/pos/sessions", as_=None, headers=second).json["items"] == []
    assert client.post(path + "/close", {"counted_cash": 0}, as_=None, headers=first).status_code == 200


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"opening_float": "-1"}, "opening_float"),
        ({"opening_float": "0.001"}, "opening_float"),
        ({"opening_float": "x"}, "opening_float"),
        ({"till": ""}, "till"),
        ({"till": "x" * 129}, "till"),
        ({"till": "a\nb"}, "till"),
        ({"notes": 5}, "notes"),
        ({"opened_by": 1}, "opened_by"),
    ],
)
def test_a_bad_opening_changes_nothing(client, runtime, body, field):
    answer = client.post("/api/pos/sessions", body, as_="cashier")
    assert refused(answer, 422, "validation-failed", field)
    with runtime.database.connect() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM pos_till").scalar_one() == 0


# --- the figures -------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("verified")
def test_what_a_session_adds_up_to(client, make, shop, bread):
    tax = make.tax("0.2")
    service = make.product(price="50.00", tracking="none", tax=tax["id"])
    session = shop.open()
    first = shop.sell(bread, 2, payments=[{"method": "cash", "amount": "50.00"}])
    shop.sell(bread, 3, payments=[{"method": "card", "amount": "10.00"}, {"method": "cash", "amount": "20.00"}])
    discounted = {"product_id": bread.id, "quantity": "2", "discount_per_item": "1.00"}
    make.sale(
        [discounted], channel="pos", source_device=TILL, as_="cashier", discount_amount="2.00", payment_method="card"
    )
    taxed = shop.sell(service, payment_method="card")
    wrong = shop.sell(bread, 5)
    shop.cancel(wrong)
    last = shop.back(first)
    shop.cash(session, "in", "20.00", "coins")
    shop.cash(session, "out", "5.50", "window cleaner")
    client.get(f"/api/pos/sessions/{session['id']}/report", as_="cashier")

    shown = shop.report(session)
    assert (shown["kind"], shown["number"], shown["till"], shown["session"]) == ("X", None, TILL, session["id"])
    assert shown["sales"] == {"count": 5, "total": "176.00"}
    assert shown["returns"] == {"count": 1, "total": "-10.00"}
    assert shown["cancellations"] == {"count": 1, "total": "-50.00"}
    assert shown["exchanges"] == {"count": 0, "total": "0.00"}
    assert (shown["net_total"], shown["tax_total"]) == ("116.00", "10.00")
    assert shown["tenders"] == [
        {
            "method": "card",
            "title": "Card",
            "is_cash": False,
            "count": 3,
            "amount_in": "86.00",
            "change": "0.00",
            "refunded": "0.00",
            "net": "86.00",
        },
        {
            "method": "cash",
            "title": "Cash",
            "is_cash": True,
            "count": 3,
            "amount_in": "120.00",
            "change": "30.00",
            "refunded": "60.00",
            "net": "30.00",
        },
    ]
    assert shown["taxes"] == [
        {"rate": "0", "net": "56.00", "tax": "0.00", "gross": "56.00"},
        {"rate": "0.2", "net": "50.00", "tax": "10.00", "gross": "60.00"},
    ]
    assert [(row["name"], row["quantity"], row["gross"]) for row in shown["categories"]] == [
        ("Food", "6", "56.00"),
        (None, "1", "60.00"),
    ]
    assert shown["discounts"] == {"lines": "2.00", "orders": "2.00", "total": "4.00"}
    assert shown["cash_in"]["total"] == "20.00" and shown["cash_in"]["movements"][0]["reason"] == "coins"
    assert shown["cash_out"]["total"] == "5.50" and shown["cash_out"]["movements"][0]["by_name"]
    assert shown["expected_cash"] == "144.50"  # 100 + 30 + 20 - 5.50
    assert shown["counted_cash"] is None and shown["over_short"] is None
    assert (shown["first_sale_number"], shown["last_sale_number"]) == (first.sale_number, last["sale_number"])
    assert shown["late"]["count"] == 0 and shown["other_currencies"] == []

    closed = shop.try_close(session, counted_cash="144.00", notes="fine").json
    assert (closed["status"], closed["z_number"], closed["notes"]) == ("closed", 1, "fine")
    assert (closed["expected_cash"], closed["counted_cash"], closed["over_short"]) == ("144.50", "144.00", "-0.50")
    z = shop.report(session)
    changed = {"kind", "number", "closed_by", "closed_by_name", "closed_at", "counted_cash", "over_short", "notes"}
    assert {name for name in z if z[name] != shown[name]} == changed
    assert (z["kind"], z["number"], z["over_short"], taxed.id > 0) == ("Z", 1, "-0.50", True)


def test_an_x_report_changes_nothing(client, shop, bread, runtime):
    session = shop.open()
    shop.sell(bread)
    before = claims(runtime)
    assert shop.report(session) == shop.report(session)
    assert shop.text(session) == shop.text(session)
    assert claims(runtime) == before


def test_a_z_report_stays_as_it_was(client, make, shop, bread):
    session = shop.open()
    sale = shop.sell(bread)
    z, printed = shop.close(session, "110"), shop.text(session)
    shop.cancel(sale)
    shop.set(company__name="Another", currency="USD", timezone="Asia/Kolkata", currency_places=0)
    client.patch(f"/api/products/{bread.id}", {"category": make.category("Other").id})
    assert shop.report(session) == z and shop.text(session) == printed
    assert refused(shop.try_close(session, counted_cash="5"), 409, "pos-session-closed")
    assert shop.report(session) == z


def test_z_numbers_count_per_till(client, shop):
    numbers = [shop.close(shop.open(till))["number"] for till in ("a", "b", "a", "a", "b")]
    assert numbers == [1, 1, 2, 3, 2]


def test_a_closing_that_fails_leaves_no_gap(client, shop, bread, runtime):
    session = shop.open()
    shop.sell(bread)
    before = claims(runtime)
    # A plugin or the database refuses at the very end.
    trigger = {
        "sqlite": "CREATE TRIGGER no BEFORE UPDATE OF z_report ON pos_session BEGIN SELECT RAISE(ABORT, 'no'); END",
        "postgresql": "ALTER TABLE pos_session ADD CONSTRAINT no CHECK (z_number IS NULL)",
    }
    undo = {"sqlite": "DROP TRIGGER no", "postgresql": "ALTER TABLE pos_session DROP CONSTRAINT no"}
    engine = runtime.database.dialect
    execute(runtime, trigger[engine])
    assert shop.try_close(session, counted_cash="0").status_code == 500
    assert claims(runtime) == before
    execute(runtime, undo[engine])
    assert shop.close(session)["number"] == 1
    assert differences(runtime) == []


# --- cash in and out ---------------------------------------------------------------------------------------


def test_no_more_comes_out_than_must_be_there(client, shop, bread):
    session = shop.open(opening_float="20.00")
    shop.sell(bread)
    path = f"/api/pos/sessions/{session['id']}/cash"
    out = {"direction": "out", "amount": "30.01", "reason": "bank"}
    assert refused(client.post(path, out, as_="cashier"), 422, "pos-cash-short", "amount")
    shop.cash(session, "out", "30.00")
    assert refused(client.post(path, {**out, "amount": "0.01"}, as_="cashier"), 422, "pos-cash-short")
    assert shop.report(session)["expected_cash"] == "0.00"


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "0"}, "amount"),
        ({"amount": "-5"}, "amount"),
        ({"amount": "0.001"}, "amount"),
        ({"amount": None}, "amount"),
        ({"direction": "sideways"}, "direction"),
        ({"reason": " "}, "reason"),
        ({"reason": None}, "reason"),
    ],
)
def test_bad_cash_is_refused_by_name(client, shop, change, field):
    session = shop.open()
    body = {"direction": "in", "amount": "5", "reason": "coins", **change}
    answer = client.post(f"/api/pos/sessions/{session['id']}/cash", body, as_="cashier")
    assert refused(answer, 422, "validation-failed", field)
    assert shop.report(session)["cash_in"]["movements"] == []


def test_a_closed_drawer_takes_no_cash(client, shop):
    session = shop.open()
    shop.close(session)
    body = {"direction": "in", "amount": "5", "reason": "coins"}
    answer = client.post(f"/api/pos/sessions/{session['id']}/cash", body, as_="cashier")
    assert refused(answer, 409, "pos-session-closed")


def test_drawers_of_absurd_amounts_close(client, shop, make, runtime):
    """Nobody can make a drawer that cannot be closed any more."""
    most = "99999999999.99"
    session = shop.open(opening_float=most)
    for _ in range(3):
        shop.cash(session, "in", most)
    gold = make.product(price=most, stock=9)
    for _ in range(2):
        shop.sell(gold)
    z = shop.close(session, most)
    assert z["expected_cash"] == "599999999999.94" and z["over_short"] == "-499999999999.95"
    assert differences(runtime) == []


# --- the count ---------------------------------------------------------------------------------------------


def test_counting_by_denomination(client, shop, runtime):
    session = shop.open(opening_float="0")
    shop.cash(session, "in", "160.55")
    counts = {"50": 3, "10.00": 1, "0.05": 10, "0.01": 0}
    closed = shop.try_close(session, counts=counts).json
    assert closed["counted_cash"] == "160.50" and closed["over_short"] == "-0.05"
    assert closed["counts"] == {"50.00": 3, "10.00": 1, "0.05": 10, "0.01": 0}
    assert shop.report(session)["counts"][0] == {"denomination": "50.00", "pieces": 3, "amount": "150.00"}


def test_sum_and_denominations_must_agree(client, shop):
    session = shop.open()
    answer = shop.try_close(session, counted_cash="101.00", counts={"50": 2})
    assert refused(answer, 422, "pos-counts-differ", "counted_cash")
    assert shop.try_close(session, counted_cash="100", counts={"50": 2}).status_code == 200


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "counted_cash"),
        ({"counted_cash": None}, "counted_cash"),
        ({"counts": {}}, "counted_cash"),
        ({"counted_cash": "-1"}, "counted_cash"),
        ({"counted_cash": "1.001"}, "counted_cash"),
        ({"counts": {"0": 1}}, "counts"),
        ({"counts": {"-5": 1}}, "counts"),
        ({"counts": {"five": 1}}, "counts"),
        ({"counts": {"NaN": 1}}, "counts"),
        ({"counts": {"1e3": 1}}, "counts"),
        ({"counts": {"0.001": 1}}, "counts"),
        ({"counts": {"5": -1}}, "counts"),
        ({"counts": {"5": 1.5}}, "counts"),
        ({"counts": {"5": "2"}}, "counts"),
        ({"counts": {"5": True}}, "counts"),
        ({"counts": {"5": None}}, "counts"),
        ({"counts": {"5": 10**30}}, "counts"),
        ({"counts": {"5": 1, "5.0": 1}}, "counts"),
        ({"counts": {"99999999999": 1000}}, "counts"),
        ({"counts": {str(each): 1 for each in range(1, 62)}}, "counts"),
        ({"counted_cash": "1", "blind": "yes"}, "blind"),
    ],
)
def test_a_bad_count_closes_nothing(client, shop, body, field):
    session = shop.open()
    answer = shop.try_close(session, **body)
    assert answer.status_code == 422, answer.text
    assert any(error["field"].split(".")[0] == field for error in answer.json["errors"]), answer.text
    assert client.get(f"/api/pos/sessions/{session['id']}", as_="cashier").json["status"] == "open"


def test_a_blind_count_tells_nothing_before(client, shop, bread):
    shop.set(pos__blind_count=True)
    session = shop.open()
    shop.sell(bread, 7, payment_method="cash")
    shop.sell(bread, 3, payment_method="card")
    shown, printed = shop.report(session), shop.text(session)
    assert shown["is_blind"] and shown["expected_cash"] is None
    assert shown["sales"] == {"count": 2, "total": None}
    assert {each["method"]: (each["count"], each["net"]) for each in shown["tenders"]} == {
        "cash": (1, None),
        "card": (1, None),
    }
    for tell in ("170", "70", "30"):
        assert tell + ".00" not in printed and tell + ".00" not in str(shown)
    assert client.get(f"/api/pos/sessions/{session['id']}", as_="cashier").json["expected_cash"] is None
    # Asking for too much does not tell either.
    shop.cash(session, "out", "5000.00")
    assert shop.report(session, as_="supplier")["expected_cash"] == "-4830.00"
    z = shop.close(session, "1")
    assert z["is_blind"] and z["expected_cash"] == "-4830.00" and z["sales"]["total"] == "100.00"


def test_a_count_may_be_called_blind(shop):
    assert shop.close(shop.open(), blind=True)["is_blind"] is True
    assert shop.close(shop.open())["is_blind"] is False


# --- who ---------------------------------------------------------------------------------------------------


def test_a_cashier_sees_own_sessions_only(client, make, shop):
    mine, others = shop.open("a"), shop.open("b", as_="supplier")
    assert [row["id"] for row in client.get("/api/pos/sessions", as_="cashier").json["items"]] == [mine["id"]]
    path = f"/api/pos/sessions/{others['id']}"
    body = {"direction": "in", "amount": "5", "reason": "coins"}
    for answer in (
        client.get(path, as_="cashier"),
        client.get(path + "/report", as_="cashier"),
        client.post(path + "/cash", body, as_="cashier"),
        client.post(path + "/close", {"counted_cash": "0"}, as_="cashier"),
    ):
        assert refused(answer, 404, "pos-unknown-session")
    for role in ("supplier", "accountant"):
        seen = client.get("/api/pos/sessions", as_=role).json["items"]
        assert [row["id"] for row in seen] == [others["id"], mine["id"]]


def test_a_session_of_another_shop_is_not_there(client, make, shop):
    session = shop.open("x", as_="admin", warehouse=make.other)
    assert client.get(f"/api/pos/sessions/{session['id']}", as_="supplier").status_code == 404
    assert refused(shop.try_close(session, as_="supplier", counted_cash="0"), 404, "pos-unknown-session")
    answer = client.get("/api/pos/sessions", params={"warehouse": make.other}, as_="supplier")
    assert refused(answer, 403, "foreign-warehouse", "warehouse")


def test_only_the_opener_closes_or_who_may_close_any(client, make, shop):
    assert client.post("/api/roles", {"name": "watch", "permissions": ["pos:session:read_all"]}).status_code == 201
    watcher = make.user(roles=["cashier", "watch"])
    session = shop.open()
    answer = shop.try_close(session, as_=watcher, counted_cash="0")
    assert refused(answer, 403, "permission-denied")
    assert shop.try_close(session, as_="supplier", counted_cash="0").json["closed_by"] != session["opened_by"]


def test_the_list_is_filtered(client, make, shop):
    a, b = shop.open("a"), shop.open("b")
    shop.close(a)
    today = utc_now().date()

    def found(**params):
        answer = client.get("/api/pos/sessions", params=params, as_="cashier")
        assert answer.status_code == 200, answer.text
        return [row["till"] for row in answer.json["items"]]

    assert found(status="open") == ["b"] and found(status="closed") == ["a"]
    assert found(till="a") == ["a"] and found(search="B") == ["b"]
    assert found(warehouse=make.main) == ["b", "a"]
    assert found(date_from=today.isoformat()) == ["b", "a"]
    assert found(date_to=(today - timedelta(days=1)).isoformat()) == []
    assert found(ordering="id", limit=1) == ["a"] and b["status"] == "open"


def test_what_is_done_is_in_the_audit_log(client, shop):
    session = shop.open()
    shop.cash(session, "in", "5.00")
    shop.close(session, "1")
    entries = client.get("/api/audit", params={"ordering": "id"}).json["items"]
    assert [(each["action"], each["entity"]) for each in entries][-4:] == [
        ("create", "till"),
        ("open", "till_session"),
        ("move", "till_cash"),
        ("close", "till_session"),
    ]


# --- whose documents ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("verified")
def test_what_was_sold_before_sessions_were_used_is_outside(shop, bread, runtime):
    old = [shop.sell(bread), shop.sell(bread, till="pos-02")]
    session = shop.open()
    new = shop.sell(bread)
    z = shop.close(session)
    assert (z["sales"]["count"], z["late"]["count"]) == (1, 0)
    assert claims(runtime) == {
        old[0].id: (0, False),
        old[1].id: (None, False),
        new.id: (session["id"], False),
    }


@pytest.mark.usefixtures("verified")
def test_a_sale_synced_after_closing_is_late_in_the_next_z(shop, bread, runtime):
    first = shop.open()
    during = utc_now()
    shop.sell(bread, payment_method="card")
    assert shop.close(first)["net_total"] == "10.00"
    between = shop.sell(bread, 2)
    second = shop.open(opening_float="50")
    late = shop.sync(shop.offline(bread, during), shop.offline(bread, utc_now() - timedelta(minutes=1)))
    own = shop.sync(shop.offline(bread, utc_now()))
    assert shop.report(second)["expected_cash"] == "60.00"
    z = shop.close(second)
    assert z["sales"] == {"count": 1, "total": "10.00"} and z["first_sale_number"] == own[0]["sale_number"]
    assert (z["late"]["count"], z["late"]["total"], z["late"]["cash"]) == (3, "40.00", "40.00")
    assert z["late"]["numbers"] == [between.sale_number, *(sale["sale_number"] for sale in late)]
    assert z["late"]["tenders"][0]["net"] == "40.00" and z["late"]["taxes"][0]["gross"] == "40.00"
    assert z["expected_cash"] == "60.00"
    assert between.sale_number in shop.text(second)


@pytest.mark.usefixtures("verified")
def test_what_is_posted_online_is_of_the_open_session_whatever_the_clock_says(client, make, shop, bread):
    shop.close(shop.open(opening_float="0"))
    session = shop.open(opening_float="0")
    ago = [format_instant(utc_now() - timedelta(**since)) for since in ({}, {"hours": 1}, {"days": 400})]
    here = {"channel": "pos", "source_device": TILL, "warehouse": make.main}
    sales = []
    for stamp in ago:
        body = {**here, "client_timestamp": stamp, "items": [{"product_id": bread.id, "quantity": "1"}]}
        sales.append(client.post("/api/sales", body, as_="cashier").json)
    assert [(sale["flags"], sale["clock_suspect"]) for sale in sales] == [
        ([], False),
        (["clock-suspect"], True),
        (["clock-suspect"], True),
    ]
    assert [sale["client_timestamp"] for sale in sales] == ago
    assert all(sale["sale_date"] == sale["created_at"] for sale in sales)
    by_code = {"warehouse": make.main, "source_device": TILL, "client_timestamp": ago[2]}
    scanned = client.post(f"/api/pos/sell/{bread.sku}", by_code, as_="cashier")
    assert scanned.status_code == 201 and scanned.json["clock_suspect"], scanned.text
    back = {"lines": [{"position": 0, "quantity": "1"}], "source_device": TILL, "client_timestamp": ago[2]}
    returned = client.post(f"/api/sales/{sales[0]['id']}/returns", back, as_="cashier").json
    assert returned["flags"] == ["clock-suspect"] and returned["sale_date"] == returned["created_at"]
    lines = {"sale_id": sales[1]["id"], "lines": [{"position": 0, "quantity": "1"}]}
    both = {**here, "client_timestamp": ago[2], "items": [{"product_id": bread.id, "quantity": "2"}], "returns": lines}
    assert client.post("/api/sales", both, as_="cashier").json["kind"] == "exchange"
    shop.cancel(sales[2])
    x = shop.report(session)
    # Three sales and one by its code, one back, one cancelled, and one more bread in the exchange.
    assert (x["late"]["count"], x["expected_cash"]) == (0, "30.00")
    z = shop.close(session, counted="30.00")
    assert (z["late"]["count"], z["expected_cash"], z["over_short"]) == (0, "30.00", "0.00")
    assert z["sales"]["count"] == 4 and z["net_total"] == "30.00"
    today = client.get("/api/pos/dashboard", as_="cashier").json["today"]
    assert today["sales_amount"] == "30.00"


def test_only_what_was_synced_is_late(client, make, shop, bread):
    session, ago = shop.open(), utc_now() - timedelta(hours=1)
    shop.sync(shop.offline(bread, ago))
    shown = shop.report(session)
    assert (shown["sales"]["count"], shown["late"]["count"]) == (0, 1)


def test_how_far_a_clock_may_be_off_is_a_setting(client, make, shop, bread):
    body = {"channel": "pos", "warehouse": make.main, "items": [{"product_id": bread.id, "quantity": "1"}]}

    def flags(**off):
        stamp = format_instant(utc_now() + timedelta(**off))
        return client.post("/api/sales", {**body, "client_timestamp": stamp}, as_="cashier").json["flags"]

    assert [flags(minutes=minutes) for minutes in (-6, -4, 4, 6)] == [["clock-suspect"], [], [], ["clock-suspect"]]
    shop.set(sales__clock_tolerance=60)
    assert [flags(minutes=minutes) for minutes in (-61, -6, 6, 61)] == [["clock-suspect"], [], [], ["clock-suspect"]]
    for wrong in (-1, 1441, "soon"):
        assert client.patch("/api/settings", {"sales.clock_tolerance": wrong}).status_code == 422


@pytest.mark.usefixtures("verified")
@pytest.mark.parametrize("stamp", ["1999-01-01T00:00:00Z", "2199-12-31T23:59:59Z"])
def test_a_clock_that_is_not_believed_counts_when_it_was_recorded(shop, bread, stamp):
    shop.close(shop.open())
    session = shop.open()
    assert shop.sync(shop.offline(bread, stamp))[0]["clock_suspect"]
    z = shop.close(session)
    assert (z["sales"]["count"], z["late"]["count"]) == (1, 0)


@pytest.mark.usefixtures("verified")
def test_browser_sales_of_who_opened_a_named_till_are_its(client, shop, bread, runtime):
    before = shop.sell(bread, till=None)
    named = shop.open("desk")
    browser, other = shop.sell(bread, till=None), shop.sell(bread, till=None, as_="supplier")
    assert shop.close(named)["sales"]["count"] == 1
    after = shop.sell(bread, till=None)
    again = shop.open("desk")
    z = shop.close(again)
    assert (z["sales"]["count"], z["late"]["count"]) == (0, 1)
    assert claims(runtime) == {
        before.id: (0, False),
        browser.id: (named["id"], False),
        other.id: (None, False),
        after.id: (again["id"], True),
    }


@pytest.mark.usefixtures("verified")
def test_the_own_session_goes_before_a_named_one_and_the_later_before_the_earlier(shop, bread, runtime):
    first = shop.open("a")
    to_first = shop.sell(bread, till=None)
    second = shop.open("b")
    to_second = shop.sell(bread, till=None)
    own = shop.open(None)
    to_own = shop.sell(bread, till=None)
    for session in (own, second, first):
        z = shop.close(session)
        assert (z["sales"]["count"], z["late"]["count"]) == (1, 0)
    assert {key: session for key, (session, _) in claims(runtime).items()} == {
        to_first.id: first["id"],
        to_second.id: second["id"],
        to_own.id: own["id"],
    }


def test_a_till_with_a_key_takes_no_browser_sales(client, shop, bread, device, runtime):
    headers = device("pos-09")
    opened = client.post("/api/pos/sessions", {}, as_=None, headers=headers).json
    item = {"product_id": bread.id, "quantity": "1"}
    body = {"warehouse": opened["warehouse"], "items": [item]}
    mine = client.post("/api/sales", body, as_=None, headers=headers).json
    key = opened["opened_by"]
    execute(runtime, f"UPDATE pos_document SET till = 'user:{key}' WHERE sale_id = {mine['id']}")
    assert client.get(f"/api/pos/sessions/{opened['id']}/report", as_=None, headers=headers).json["sales"]["count"] == 0


def test_another_shops_sale_by_the_same_name_is_not_in_the_drawer(shop, make, bread):
    session = shop.open()
    item = make.product(price="10.00", stock={make.other: 5})
    make.sale([(item, 1)], channel="pos", source_device=TILL, warehouse=make.other)
    shop.sell(bread)
    assert shop.report(session)["sales"]["count"] == 1


@pytest.mark.usefixtures("verified")
def test_returns_go_to_the_drawer_that_pays(client, shop, bread):
    first = shop.open()
    sale = shop.sell(bread, 2)
    shop.close(first, "120")
    second = shop.open()
    shop.back(sale)
    z = shop.close(second, "90")
    assert z["returns"] == {"count": 1, "total": "-10.00"}
    assert (z["expected_cash"], z["over_short"]) == ("90.00", "0.00")


# --- documents that are strange ----------------------------------------------------------------------------


@pytest.mark.usefixtures("verified")
def test_closing_takes_any_document(client, make, shop, runtime):
    session = shop.open()
    free = make.product(price="0.00", stock=9, price_mode="list")
    shop.cancel(shop.sell(free))
    gone = make.product(price="3.33", stock=9)
    shop.sell(gone, payment_method="mobile")
    shop.sell(gone)
    assert client.delete(f"/api/products/{gone.id}").status_code in (200, 204)
    weighed = make.product(price="3.33", stock=9, unit=make.unit(precision=3).id)
    shop.sell(weighed, "0.333")
    shop.sync(shop.offline(weighed, "2199-01-01T00:00:00Z"))
    execute(runtime, _unlocked(runtime, "UPDATE sale_payment SET method = 'seashells' WHERE method = 'mobile'"))
    shop.set(currency="INR")
    rupees = shop.sell(weighed)
    z = shop.close(session)
    assert (z["currency"], z["sales"]["count"], z["net_total"]) == ("INR", 1, "3.33")
    (euros,) = z["other_currencies"]
    assert (euros["currency"], euros["count"], euros["total"]) == ("EUR", 6, "11.10")
    assert [(each["title"], each["net"]) for each in euros["tenders"]] == [("Cash", "7.77"), ("seashells", "3.33")]
    assert z["last_sale_number"] == rupees.sale_number
    assert "IN EUR" in shop.text(session)


def _unlocked(runtime, statement):
    """Return a statement that changes what the database otherwise keeps from being changed."""
    if runtime.database.dialect == "postgresql":
        return f"SET LOCAL session_replication_role = replica; {statement}"
    execute(runtime, "DROP TRIGGER IF EXISTS sale_payment_no_update")
    return statement


def test_what_waits_is_counted(client, make, shop, bread, runtime):
    session = shop.open()
    sale = shop.offline(bread, utc_now(), payments=[{"method": "pebbles", "amount": "10.00"}])
    elsewhere = {**sale, "external_id": str(uuid.uuid4()), "source_device": "pos-02"}
    answer = client.post("/api/sales/sync", {"sales": [sale, elsewhere]}, as_="cashier").json
    assert [result["status"] for result in answer["results"]] == ["rejected"] * 2
    with runtime.unit_of_work() as unit:
        for till, status in ((TILL, "parked"), (TILL, "resumed"), ("pos-02", "parked")):
            unit.connection().exec_driver_sql(
                "INSERT INTO pos_parked_sale (label, warehouse_id, till, body, status, reason, created_at)"
                f" VALUES ('x', {make.main}, '{till}', '{{}}', '{status}', '', '2026-01-01T00:00:00.000000Z')"
            )
    z = shop.close(session)
    assert (z["parked_sales"], z["refused_sales"]) == (1, 1)


# --- a session is needed -----------------------------------------------------------------------------------


@pytest.fixture
def required(shop):
    shop.set(pos__require_session=True)


@pytest.mark.usefixtures("required")
def test_without_a_session_nothing_is_sold(client, make, shop, bread, runtime):
    body = {"channel": "pos", "source_device": TILL, "items": [{"product_id": bread.id, "quantity": "1"}]}
    answer = client.post("/api/sales", body, as_="cashier")
    assert refused(answer, 409, "pos-no-open-session") and "/api/pos/sessions" in answer.json["hint"]
    assert claims(runtime) == {}
    session = shop.open()
    sale = shop.sell(bread)
    other = client.post("/api/sales", {**body, "source_device": "pos-02"}, as_="cashier")
    assert refused(other, 409, "pos-no-open-session")
    shop.close(session)
    assert refused(client.post("/api/sales", body, as_="cashier"), 409, "pos-no-open-session")
    lines = [{"line_id": sale["items"][0]["id"], "quantity": "1"}]
    answer = client.post(f"/api/sales/{sale.id}/returns", {"lines": lines, "reason": "x"}, as_="cashier")
    assert refused(answer, 409, "pos-no-open-session")
    answer = client.post(f"/api/sales/{sale.id}/cancel", {"reason": "x"}, as_="admin")
    assert refused(answer, 409, "pos-no-open-session")
    assert make.stock(bread) == 999
    shop.open()
    shop.back(sale)


@pytest.mark.usefixtures("required")
def test_a_browser_needs_a_session_of_its_person(client, make, shop, bread):
    body = {"channel": "pos", "items": [{"product_id": bread.id, "quantity": "1"}]}
    shop.open("desk", as_="supplier")
    assert refused(client.post("/api/sales", body, as_="cashier"), 409, "pos-no-open-session")
    assert client.post("/api/sales", body, as_="supplier").status_code == 201
    shop.open(None)
    assert client.post("/api/sales", body, as_="cashier").status_code == 201


@pytest.mark.usefixtures("required")
def test_what_happened_offline_and_other_channels_need_none(make, shop, bread):
    shop.sync(shop.offline(bread, utc_now()))
    make.sale([(bread, 1)], channel="counter", as_="cashier")


def test_without_the_setting_a_sale_pays_nothing_for_it(shop, bread, runtime):
    from sqlalchemy import event

    statements = []
    event.listen(runtime.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    shop.sell(bread)
    assert statements and not any("pos_session" in each for each in statements)


# --- all of it together ------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["sell", "offline", "late", "return", "cancel", "in", "out", "close"]),
        st.integers(1, 4),
        st.sampled_from(["cash", "card"]),
        st.sampled_from(["a", "b"]),
    ),
    max_size=12,
)


@pytest.mark.slow
@settings(max_examples=4, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(steps=_STEPS)
def test_all_z_reports_together_are_the_journal(client, make, shop, runtime, steps):
    bread = make.product(price="0.37", stock=1000)
    run = uuid.uuid4().hex
    start = utc_now()
    open_now, reports, sales = {}, [], {}
    for each in ("a", "b"):
        open_now[each] = shop.open(f"{each}-{run}", as_="admin", warehouse=make.main)
    cash = {"a": Decimal(100), "b": Decimal(100)}
    for what, quantity, method, till in steps:
        name = f"{till}-{run}"
        amount = Decimal("0.37") * quantity
        if what == "sell":
            sales[shop.sell(bread, quantity, till=name, payment_method=method, as_="admin").id] = till
            cash[till] += amount if method == "cash" else 0
        elif what in ("offline", "late"):
            at = utc_now() if what == "offline" else start - timedelta(days=1)
            body = shop.offline(bread, at, till=name, payment_method=method)
            shop.sync(body, as_="admin")
            cash[till] += Decimal("0.37") if method == "cash" and what == "offline" else 0
        elif what in ("return", "cancel") and sales:
            sale_id, owner = sales.popitem()
            sale = client.get(f"/api/sales/{sale_id}").json
            (shop.cancel if what == "cancel" else shop.back)(sale, as_="admin")
            back = Decimal(sale["total_amount"]) if what == "cancel" else Decimal("0.37")
            cash[owner] -= back if sale["payment_method"] == "cash" else 0
        elif what in ("in", "out"):
            shop.cash(open_now[till], what, f"{quantity}.00", as_="admin")
            cash[till] += quantity if what == "in" else -quantity
        elif what == "close":
            reports.append(shop.close(open_now[till], as_="admin"))
            assert Decimal(reports[-1]["expected_cash"]) == cash[till]
            open_now[till], cash[till] = shop.open(name, as_="admin", warehouse=make.main), Decimal(100)
    for till, session in open_now.items():
        reports.append(shop.close(session, as_="admin"))
        assert Decimal(reports[-1]["expected_cash"]) == cash[till]
    with runtime.database.connect() as connection:
        count, total, tax = connection.exec_driver_sql(
            "SELECT COUNT(*), COALESCE(SUM(total_amount), 0), COALESCE(SUM(tax_amount), 0) FROM sale"
            f" WHERE source_device LIKE '%%{run}'"
        ).one()
    kinds = ("sales", "returns", "exchanges", "cancellations")
    assert count == sum(each["late"]["count"] + sum(each[kind]["count"] for kind in kinds) for each in reports)
    summed = sum(Decimal(each["net_total"]) + Decimal(each["late"]["total"]) for each in reports)
    assert summed == Decimal(int(total)) / 10_000 and tax == 0
    tenders = [row for each in reports for row in (*each["tenders"], *each["late"]["tenders"])]
    assert sum(Decimal(row["net"]) for row in tenders) == summed
    assert differences(runtime) == []


# --- verify ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "invariant"),
    [
        ("UPDATE pos_document SET is_late = NOT is_late", "documents of sessions"),
        ("UPDATE pos_document SET till = 'another'", "documents of sessions"),
        ("UPDATE pos_session SET opened_at = '2150-01-01T00:00:00.000000Z'", "sessions"),
        ("UPDATE pos_session SET z_number = 3 WHERE z_number = 2", "Z numbers"),
        ("UPDATE number_series SET last = 9 WHERE name LIKE 'pos-z:%%'", "Z numbers"),
        ("UPDATE pos_document SET session_id = 999999", "documents of sessions"),
        ("UPDATE pos_document SET session_id = NULL", "Z reports"),
        ("UPDATE pos_document SET is_late = true", "Z reports"),
        ("UPDATE pos_session SET expected_cash = expected_cash + 1", "Z reports"),
        ("UPDATE pos_session SET over_short = over_short + 1", "Z reports"),
    ],
)
def test_verify_finds_what_was_tampered_with(shop, bread, runtime, statement, invariant):
    for _ in range(2):
        session = shop.open()
        shop.sell(bread)
        shop.close(session)
    assert differences(runtime) == []
    execute(runtime, statement)
    assert invariant in {each.invariant for each in differences(runtime)}


# --- as text -----------------------------------------------------------------------------------------------


def test_the_text_fits_the_paper(client, make, shop, bread):
    shop.set(company__name="Käse & Söhne", company__address="Hauptstraße 1\n1010 Wien", company__tax_id="ATU12345678")
    session = shop.open(notes="A note that is longer than the paper is wide, which it may well be")
    shop.sell(make.product(name="日本", price="99999999.99", stock=5, category=make.category("漢字" * 30).id))
    shop.sell(bread, payments=[{"method": "cash", "amount": "50.00"}])
    shop.cash(session, "out", "5.00", "a reason that goes on and on, because somebody has to explain it")
    shop.close(session, "1.00")
    printed = shop.text(session)
    lines = printed.splitlines()
    assert "Käse & Söhne" in printed and "Z REPORT 1" in printed and "SHORT" in printed
    assert max(map(len, lines)) <= 42


def test_what_counts_as_cash_lies_in_the_drawer(make, shop, bread):
    make.payment_method("euros", counts_as_cash=True, gives_change=True)
    make.payment_method("meals", gives_change=True)
    session = shop.open()
    shop.sell(bread, payments=[{"method": "euros", "amount": "1000"}])
    in_drawer = Decimal(shop.report(session)["expected_cash"])
    assert in_drawer == 100 + Decimal(bread.price)
    # A meal voucher is no cash, and its change is.
    shop.sell(bread, payments=[{"method": "meals", "amount": str(Decimal(bread.price) + 2)}])
    assert Decimal(shop.report(session)["expected_cash"]) == in_drawer - 2
    tenders = {each["method"]: each for each in shop.report(session)["tenders"]}
    assert {name: each["is_cash"] for name, each in tenders.items()} == {"euros": True, "meals": False}
    assert tenders["meals"]["title"] == "Meals"
