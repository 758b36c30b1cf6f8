"""The totals behind the seller's views: exact whatever is counted already, whoever writes meanwhile."""

import contextlib
import random
import threading
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event, text

from tillhook.cli.main import cli
from tillhook.db import as_instant, utc_now
from tillhook.server.verify import verify
from tillhook.server.worker import Worker
from tillhook_pos.views.days import LENGTHS, Calendar, cover
from tillhook_pos.views.totals import adopt_documents, count_documents, rebuild_totals

TABLES = ("pos_day_total", "pos_day_tender", "pos_period_product")
days = st.dates(date(2000, 1, 1), date(2199, 12, 31))


def count(runtime, limit=10_000):
    with runtime.unit_of_work() as session:
        return count_documents(session, limit)


def rebuild(runtime):
    """Rebuild, count the rest, and return how many are counted."""
    with runtime.unit_of_work() as session:
        counted = rebuild_totals(session)
    return counted + count(runtime)


def rows(runtime, statement, **values):
    with runtime.database.connect() as connection:
        return connection.execute(text(statement), values).mappings().all()


def change(runtime, statement, **values):
    with runtime.unit_of_work() as session:
        session.execute(text(statement), values)


def report(client, as_="admin", first="2026-01-01", last=None, **body):
    body = {"date_from": first, "date_to": last or utc_now().date().isoformat(), **body}
    answer = client.post("/api/pos/reports/sales", body, as_=as_)
    assert answer.status_code == 200, answer.text
    return answer.json


def dashboard(client, as_="admin"):
    shown = client.get("/api/pos/dashboard", as_=as_).json
    return shown["today"], shown["this_week"]


def differences(runtime):
    return [(each.subject, each.expected, each.actual) for _, found in verify(runtime) for each in found]


# --- periods and days --------------------------------------------------------------------------------------


@given(days, days)
def test_a_range_of_days_is_the_sum_of_its_periods(one, other):
    first, last = sorted([one, other])
    periods = cover(first, last)
    # By the ends of the periods: a walk over 200 years of days takes a while.
    steps = Counter()
    for length, begin, sign in periods:
        start = date.fromisoformat(begin).toordinal()
        assert length in LENGTHS and (start - 1) % length == 0
        steps[start] += sign
        steps[start + length] -= sign
    assert {day: step for day, step in steps.items() if step} == {first.toordinal(): 1, last.toordinal() + 1: -1}
    assert len(periods) <= 4 * len(LENGTHS) + (last - first).days // LENGTHS[-1]


@given(
    st.sampled_from(
        ["UTC", "Europe/Vienna", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
    st.integers(0, 23),
    st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis' own
)
def test_a_day_lasts_from_its_beginning_to_the_next(timezone, hour, moment):
    calendar = Calendar(timezone, hour)
    day = calendar.day_of(moment)
    assert calendar.start(day) <= moment < calendar.start(day + timedelta(days=1))


VIENNA = [
    # Clocks go forward on 29 March and back on 25 October; a day begins at 2, an hour that is skipped and comes twice.
    ("2026-03-29T00:59:59.999999Z", "2026-03-28"),
    ("2026-03-29T01:00:00Z", "2026-03-29"),
    ("2026-10-24T23:59:59Z", "2026-10-24"),
    ("2026-10-25T00:00:00Z", "2026-10-25"),
    ("2026-10-25T01:00:00Z", "2026-10-25"),
    ("2026-10-26T00:59:59Z", "2026-10-25"),
    ("2026-10-26T01:00:00Z", "2026-10-26"),
]


def test_days_are_the_business_s_in_totals_in_the_tail_and_in_lists(client, make, runtime):
    client.patch("/api/settings", {"timezone": "Europe/Vienna", "day_cutoff_hour": 2})
    product = make.product(price="1.00", stock=100)
    for moment, _ in VIENNA:
        make.sale([(product, 1)], channel="pos", client_timestamp=moment)
    expected = [
        {"day": day, "count": len(list(group)), "amount": None} for day, group in groupby(day for _, day in VIENNA)
    ]
    for step in (lambda: None, lambda: count(runtime), lambda: rebuild(runtime)):
        step()
        found = report(client)["daily_sales"]
        assert [{**each, "amount": None} for each in found] == expected
        for each in expected:
            limits = {"date_from": each["day"], "date_to": each["day"]}
            assert len(client.get("/api/sales", params=limits).json["items"]) == each["count"]
            assert report(client, first=each["day"], last=each["day"])["summary"]["total_transactions"] == each["count"]


# --- a history against an oracle ---------------------------------------------------------------------------


@pytest.fixture
def history(client, make):
    """Sales of three people in two shops over 100 days, some returned and some cancelled, by whom it may be."""
    choice = random.Random(3)
    stock = {make.main: 500, make.other: 500}
    goods = [make.product(price=f"{number}.{number}0", stock=stock) for number in range(1, 6)]
    second = make.user("cashier", warehouses=[make.main, make.other])
    people = ["cashier", second, "supplier", "admin"]
    for _ in range(16):
        person = choice.choice(people)
        shop = choice.choice([make.main, make.other]) if person in (second, "admin") else make.main
        moment = utc_now() - timedelta(minutes=choice.choice([1, 1, choice.randrange(100 * 1440)]))
        items = [(product, choice.randint(1, 3)) for product in choice.sample(goods, choice.randint(1, 3))]
        rest = sum((Decimal(product.price) * quantity for product, quantity in items), Decimal(-1))
        paid = choice.choice(
            [
                {"payment_method": "card"},
                {"payments": [{"method": "cash", "amount": "500"}]},
                {"payments": [{"method": "voucher", "amount": "1"}, {"method": "card", "amount": rest}]},
                {"payments": [{"method": "card", "amount": "1"}, {"method": "cash", "amount": rest}]},
            ]
        )
        sale = make.sale(items, channel="pos", warehouse=shop, as_=person, client_timestamp=moment, **paid)
        fate = choice.random()
        if fate < 0.25:
            assert client.post(f"/api/sales/{sale.id}/cancel", {"reason": "wrong"}).status_code == 200
        elif fate < 0.5:
            line = {"line_id": sale["items"][0]["id"], "quantity": "1", "restock": True}
            by = choice.choice([person, "admin"])
            answer = client.post(f"/api/sales/{sale.id}/returns", {"lines": [line], "reason": "torn"}, as_=by)
            assert answer.status_code == 201, answer.text
    make.sale([(goods[0], 7)])  # by another channel: none of the counter's business
    return people


def expected(runtime, user_id, warehouses, first, last):
    """Return what a report must say, by plain sums over the journal's rows."""
    documents = {row["id"]: row for row in rows(runtime, "SELECT * FROM sale WHERE channel = 'pos'")}
    lines, payments = defaultdict(list), defaultdict(lambda: defaultdict(int))
    for row in rows(runtime, "SELECT l.*, p.name FROM sale_line l JOIN product p ON p.id = l.product_id"):
        lines[row["sale_id"]].append(row)
    for row in rows(runtime, "SELECT * FROM sale_payment"):
        payments[row["sale_id"]][row["method"]] += row["amount"] - row["change"]
    daily, tenders, products = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    items = 0
    for key, row in documents.items():
        day = as_instant(row["sale_date"]).date()
        taken_back = row["kind"] in ("return", "cancellation")
        seller = documents[row["origin_id"]]["seller_id"] if taken_back else row["seller_id"]
        if not first <= day <= last or user_id not in (None, seller) or row["warehouse_id"] not in warehouses:
            continue
        sign = {"sale": 1, "cancellation": -1, "return": 0}[row["kind"]]
        daily[day.isoformat()][0] += sign
        daily[day.isoformat()][1] += row["total_amount"]
        methods = sorted(payments[key].items(), key=lambda each: (-abs(each[1]), each[0]))
        for place, (method, amount) in enumerate(methods):
            tenders[method][0] += sign if place == 0 else 0
            tenders[method][1] += amount
        for line in lines[key]:
            items += line["quantity"]
            products[line["name"]][0] += line["quantity"]
            products[line["name"]][1] += line["total_price"] - line["discount_share"]

    def money(units):
        return f"{Decimal(units) / 10_000:.2f}"

    top = sorted(
        ((name, *sold) for name, sold in products.items() if max(sold) > 0), key=lambda each: (-each[2], each[0])
    )
    return {
        "total": money(sum(amount for _, amount in daily.values())),
        "transactions": sum(number for number, _ in daily.values()),
        "items": items // 10_000,
        "daily": [(day, *each[:1], money(each[1])) for day, each in sorted(daily.items()) if any(each)],
        "tenders": sorted((method, each[0], money(each[1])) for method, each in tenders.items() if any(each)),
        "top": [(name, quantity // 10_000, money(revenue)) for name, quantity, revenue in top],
    }


def seen(shown):
    summary = shown["summary"]
    return {
        "total": summary["total_sales"],
        "transactions": summary["total_transactions"],
        "items": int(summary["total_items_sold"]),
        "daily": [(each["day"], each["count"], each["amount"]) for each in shown["daily_sales"]],
        "tenders": sorted(
            (each["payment_method"], each["count"], each["amount"]) for each in shown["payment_breakdown"]
        ),
        "top": [(p["product_name"], int(p["total_quantity"]), p["total_revenue"]) for p in shown["top_products"]],
    }


def check_all(client, make, runtime, history):
    """Compare what everybody sees, over all, a few and single days, with plain sums."""
    users = {row["email"]: row["id"] for row in rows(runtime, "SELECT id, email FROM user_account")}
    today = utc_now().date()
    ranges = [
        (today - timedelta(days=100), today),
        (today - timedelta(days=40), today - timedelta(days=3)),
        (today, today),
    ]
    both = {make.main, make.other}
    for person in history:
        user_id = None if person == "admin" else getattr(person, "id", None) or users[f"{person}@test.com"]
        places = both if person not in ("cashier", "supplier") else {make.main}
        for first, last in ranges:
            limits = {"as_": person, "first": first.isoformat(), "last": last.isoformat()}
            assert seen(report(client, **limits)) == expected(runtime, user_id, places, first, last)
        here = report(client, person, warehouse=make.main)
        assert seen(here) == expected(runtime, user_id, {make.main}, date(2026, 1, 1), today)


def test_views_are_exact_whatever_is_counted(client, make, runtime, history):
    check_all(client, make, runtime, history)
    assert rebuild(runtime) == len(rows(runtime, "SELECT 1 FROM pos_document"))
    check_all(client, make, runtime, history)
    assert differences(runtime) == []
    # The same by the job's way, a few documents at a time, from nothing.
    for table in TABLES:
        change(runtime, f"DELETE FROM {table}")
    change(runtime, "UPDATE pos_document SET is_counted = FALSE")
    check_all(client, make, runtime, history)
    while count(runtime, 7):
        assert differences(runtime) == []
    check_all(client, make, runtime, history)
    kept = [rows(runtime, f"SELECT * FROM {table}") for table in TABLES]
    rebuild(runtime)
    found = [rows(runtime, f"SELECT * FROM {table}") for table in TABLES]
    assert [sorted(map(str, each)) for each in kept] == [sorted(map(str, each)) for each in found]


def test_another_calendar_is_right_at_once_and_counted_later(client, make, runtime, history):
    today = utc_now().date()
    count(runtime, 7)
    client.patch("/api/settings", {"timezone": "Pacific/Kiritimati", "day_cutoff_hour": 5})
    before = report(client), report(client, "cashier"), dashboard(client)
    everything = expected(runtime, None, {make.main, make.other}, date(2026, 1, 1), today)
    assert {**seen(before[0]), "daily": []} == {**everything, "daily": []}
    count(runtime)
    assert (report(client), report(client, "cashier"), dashboard(client)) == before
    assert [dict(row) for row in rows(runtime, "SELECT * FROM pos_calendar")] == [
        {"id": 1, "timezone": "Pacific/Kiritimati", "day_cutoff_hour": 5}
    ]
    assert differences(runtime) == []


# --- others at work ----------------------------------------------------------------------------------------


@contextlib.contextmanager
def between_statements(runtime, act):
    """Let ``act`` run and commit before each statement of this thread, as another process might."""
    acting = []

    def before(*_):
        if not acting:
            acting.append(True)
            act()
            acting.clear()

    event.listen(runtime.database.engine, "before_cursor_execute", before)
    yield
    event.remove(runtime.database.engine, "before_cursor_execute", before)


def test_a_view_sees_one_moment_while_documents_are_counted(client, make, runtime):
    product = make.product(price="2.00", stock=100)
    rebuild(runtime)
    for number in range(24):
        make.sale([(product, 1)], channel="pos", payment_method=("cash", "card")[number % 2])
    before = report(client), dashboard(client)
    counted = []
    with between_statements(runtime, lambda: counted.append(count(runtime, 2))):
        assert (report(client), dashboard(client)) == before
    assert 2 < sum(counted) <= 24


def test_a_view_sees_one_moment_while_the_calendar_changes(client, make, runtime):
    product = make.product(price="2.00", stock=100)
    make.sale([(product, 1)], channel="pos")
    rebuild(runtime)
    before = report(client)
    with between_statements(runtime, lambda: change(runtime, "UPDATE pos_calendar SET day_cutoff_hour = 7")):
        assert report(client) == before


def test_what_is_sold_during_a_rebuild_is_counted_next(client, make, runtime):
    product = make.product(price="1.00", stock=1000)
    for _ in range(5):
        make.sale([(product, 1)], channel="pos")
    wrong = []

    def sell():
        try:
            for _ in range(15):
                make.sale([(product, 1)], channel="pos", as_="cashier")
        except Exception as error:
            wrong.append(error)

    seller = threading.Thread(target=sell)
    seller.start()
    while seller.is_alive():
        rebuild(runtime)
        count(runtime, 3)
    seller.join()
    assert wrong == [] and differences(runtime) == []
    assert report(client)["summary"]["total_transactions"] == 20
    count(runtime)
    assert report(client)["summary"]["total_transactions"] == 20 and differences(runtime) == []
    assert rows(runtime, "SELECT 1 FROM pos_document WHERE NOT is_counted") == []


def test_no_document_is_counted_twice_by_two_who_count(client, make, runtime):
    product = make.product(price="1.00", stock=100)
    rebuild(runtime)
    for _ in range(12):
        make.sale([(product, 1)], channel="pos")
    counted = []

    def work():
        while number := count(runtime, 2):
            counted.append(number)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counted) == 12 and differences(runtime) == []


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_session_that_closes_holds_nobody_up(client, make, runtime):
    product = make.product(price="1.00", stock=100)
    rebuild(runtime)
    first, _ = (make.sale([(product, 1)], channel="pos") for _ in range(2))
    with runtime.unit_of_work() as session:
        session.execute(text("SELECT 1 FROM pos_document WHERE sale_id = :id FOR UPDATE"), {"id": first.id})
        assert count(runtime) == 1
        assert rebuild(runtime) == 1
        assert report(client)["summary"]["total_transactions"] == 2
    assert count(runtime) == 1
    assert report(client)["summary"]["total_transactions"] == 2


# --- upkeep ------------------------------------------------------------------------------------------------


def test_the_worker_counts(client, make, runtime):
    make.sale([(make.product(stock=5), 1)], channel="pos")
    Worker(runtime).run_once()
    assert rows(runtime, "SELECT 1 FROM pos_document WHERE NOT is_counted") == []
    assert report(client)["summary"]["total_transactions"] == 1


def test_documents_from_before_the_plugin_are_the_counter_s_too(client, make, runtime):
    product = make.product(price="3.00", stock=10)
    for who in ("cashier", "admin"):
        make.sale([(product, 1)], channel="pos", as_=who)
    make.sale([(product, 1)], channel="pos", source_device="till-1")
    make.sale([(product, 1)])
    before = [dict(row) for row in rows(runtime, "SELECT * FROM pos_document ORDER BY sale_id")]
    change(runtime, "DELETE FROM pos_document")
    assert report(client)["summary"]["total_transactions"] == 3  # nothing is counted yet: by the journal
    assert rebuild(runtime) == 3
    assert report(client)["summary"]["total_sales"] == "9.00"
    change(runtime, "DELETE FROM pos_document WHERE sale_id = :id", id=before[0]["sale_id"])
    rebuild(runtime)
    change(runtime, "UPDATE pos_document SET is_counted = FALSE")
    assert [dict(row) for row in rows(runtime, "SELECT * FROM pos_document ORDER BY sale_id")] == before
    with runtime.unit_of_work() as session:
        assert adopt_documents(session) == 0


@pytest.mark.parametrize("table", TABLES)
def test_verify_finds_totals_that_are_wrong(make, runtime, table):
    make.sale([(make.product(stock=5), 1)], channel="pos")
    rebuild(runtime)
    assert differences(runtime) == []
    figure = {"pos_day_total": "amount", "pos_day_tender": "payment_count", "pos_period_product": "revenue"}[table]
    change(runtime, f"UPDATE {table} SET {figure} = {figure} + 1 WHERE seller_id = -1")
    assert differences(runtime) and all(subject.startswith(table) for subject, _, _ in differences(runtime))
    change(runtime, f"DELETE FROM {table}")
    assert differences(runtime)
    rebuild(runtime)
    assert differences(runtime) == []


def test_the_command_rebuilds(client, make, runtime, settings, monkeypatch):
    make.sale([(make.product(stock=5), 1)], channel="pos")
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TILLHOOK_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("TILLHOOK_SECRET", settings.secret)
    monkeypatch.setenv("TILLHOOK_MODULES", ",".join(settings.modules))
    done = CliRunner().invoke(cli, ["pos", "rebuild-totals"])
    assert (done.exit_code, done.output) == (0, "1 documents are counted.\n")
    assert rows(runtime, "SELECT 1 FROM pos_document WHERE is_counted")
