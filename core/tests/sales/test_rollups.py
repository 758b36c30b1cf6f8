"""The rollups: exact whatever is counted already, whoever writes meanwhile."""

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

from tillhook.access import user_actor
from tillhook.cli.main import cli
from tillhook.db import as_instant, utc_now
from tillhook.hooks import Channel
from tillhook.reference import Calendar
from tillhook.runtime import snapshot_of
from tillhook.sales import SaleCommand, SaleItem, post_sale
from tillhook.sales.rollups import Scope, days_of_product, totals, visible_scope
from tillhook.sales.rollups.counting import count_sales, fill_periods, rebuild
from tillhook.sales.rollups.periods import FRESH, LENGTHS, cover
from tillhook.server.verify import verify
from tillhook.server.worker import Worker

pytestmark = pytest.mark.slow

TABLES = ("rollup_day", "rollup_tender", "rollup_tax", "rollup_product")
PARTS = ("days", "tenders", "taxes", "products")
days = st.dates(date(2000, 1, 1), date(2199, 12, 31))


def count(runtime, limit=10_000):
    with runtime.unit_of_work() as session:
        return count_sales(session, limit)


def fill(runtime):
    with runtime.unit_of_work() as session:
        fill_periods(session)


def rebuild_all(runtime):
    """Rebuild, and return how many documents are counted."""
    with runtime.unit_of_work() as session:
        return rebuild(session)


def rows(runtime, statement, **values):
    with runtime.database.connect() as connection:
        return connection.execute(text(statement), values).mappings().all()


def change(runtime, statement, **values):
    with runtime.unit_of_work() as session:
        session.execute(text(statement), values)


@contextlib.contextmanager
def acting(runtime, as_):
    """Open a session to read with, as one of the template's people or another."""
    email = f"{as_}@test.com" if isinstance(as_, str) else as_.email
    [user] = rows(runtime, "SELECT id FROM user_account WHERE email = :email", email=email)
    with runtime.unit_of_work(write=False) as session:
        actor = user_actor(session.connection(), snapshot_of(session), user["id"])
    with runtime.unit_of_work(actor, write=False) as session:
        yield session


def report(runtime, as_="admin", first="2026-01-01", last=None, warehouse=None, channel="counter"):
    """Return what the actor sees, as plain lists."""
    first, last = date.fromisoformat(first), utc_now().date() if last is None else date.fromisoformat(last)
    with acting(runtime, as_) as session:
        scope = visible_scope(session, channel=channel, warehouse_id=warehouse)
        found = totals(session, scope, first, last, PARTS)
    return {
        "days": sorted((each.day.isoformat(), each.sales_count, each.quantity, each.amount) for each in found.days),
        "tenders": sorted(found.tenders),
        "taxes": sorted((each.tax_id or 0, *each[1:]) for each in found.taxes),
        "products": [(each.name, each.quantity, each.revenue) for each in found.products],
    }


def sold(shown):
    return sum(each[1] for each in shown["days"])


def differences(runtime):
    return [(each.subject, each.expected, each.actual) for _, found in verify(runtime) for each in found]


# --- periods and days --------------------------------------------------------------------------------------


@given(days, days)
def test_a_range_of_days_is_the_sum_of_its_periods(one, other):
    first, last = sorted([one, other])
    periods = cover(first, last)
    # By the ends of the periods: a walk over 200 years of days takes a while.
    steps = Counter()
    for length, start, sign in periods:
        assert length in LENGTHS and start % length == 0
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
    st.integers(0, 400),
    st.integers(0, 400),
)
def test_a_day_lasts_from_its_beginning_to_the_next(timezone, hour, moment, before, after):
    calendar = Calendar(timezone, hour)
    day = calendar.day_of(moment)
    assert calendar.start(day) <= moment < calendar.start(day + timedelta(days=1)) == calendar.end(day)
    first, last = day - timedelta(days=before), day + timedelta(days=after)
    *changes, shift = calendar.shifts(first, last)
    shift = next((each for each in changes if moment < each.until), shift)
    assert (moment + timedelta(seconds=shift.seconds)).date() == day


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


def test_days_are_the_business_s_in_rollups_in_the_tail_and_in_lists(client, make, runtime):
    client.patch("/api/settings", {"timezone": "Europe/Vienna", "day_cutoff_hour": 2})
    product = make.product(price="1.00", stock=100)
    for moment, _ in VIENNA:
        make.sale([(product, 1)], client_timestamp=moment)
    expected = [(day, len(list(group))) for day, group in groupby(day for _, day in VIENNA)]
    for step in (lambda: None, lambda: count(runtime), lambda: rebuild_all(runtime)):
        step()
        assert [each[:2] for each in report(runtime)["days"]] == expected
        for day, number in expected:
            limits = {"date_from": day, "date_to": day}
            assert len(client.get("/api/sales", params=limits).json["items"]) == number
            assert [each[:2] for each in report(runtime, first=day, last=day)["days"]] == [(day, number)]


# --- a history against an oracle ---------------------------------------------------------------------------


@pytest.fixture
def phone(runtime):
    """Another channel than the tests' counter."""
    runtime.registry.channels["phone"] = Channel(name="phone", title="Phone", number_prefix="PH")
    return "phone"


@pytest.fixture
def history(client, make, phone):
    """Sales of three people in two shops over 100 days, some returned and some cancelled, by whom it may be."""
    choice = random.Random(3)
    stock = {make.main: 500, make.other: 500}
    taxes = [None, make.tax(rate="0.1").id, make.tax(rate="0.2", is_inclusive=True).id]
    goods = [
        make.product(price=f"{number}.{number}0", stock=stock, **({"tax": taxes[number % 3]} if number % 3 else {}))
        for number in range(1, 6)
    ]
    second = make.user("cashier", warehouses=[make.main, make.other])
    people = ["cashier", second, "supplier", "admin"]
    for _ in range(16):
        person = choice.choice(people)
        shop = choice.choice([make.main, make.other]) if person in (second, "admin") else make.main
        moment = utc_now() - timedelta(minutes=choice.choice([1, 1, choice.randrange(100 * 1440)]))
        items = [(product, choice.randint(1, 3)) for product in choice.sample(goods, choice.randint(1, 3))]
        paid = choice.choice(
            [
                {"payment_method": "card"},
                {"payments": [{"method": "cash", "amount": "500"}]},
                {"payments": [{"method": "other", "amount": "1"}, {"method": "cash", "amount": "500"}]},
                {"payments": [{"method": "card", "amount": "1"}, {"method": "cash", "amount": "500"}]},
            ]
        )
        channel = choice.choice(["counter", "counter", phone])
        sale = make.sale(items, channel=channel, warehouse=shop, as_=person, client_timestamp=moment, **paid)
        fate = choice.random()
        if fate < 0.25:
            assert client.post(f"/api/sales/{sale.id}/cancel", {"reason": "wrong"}).status_code == 200
        elif fate < 0.5:
            line = {"line_id": sale["items"][0]["id"], "quantity": "1", "restock": True}
            by = choice.choice([person, "admin"])
            answer = client.post(f"/api/sales/{sale.id}/returns", {"lines": [line], "reason": "torn"}, as_=by)
            assert answer.status_code == 201, answer.text
    return people


def expected(runtime, user_id, warehouses, first, last, channel):
    """Return what a report must say, by plain sums over the journal's rows."""
    documents = {row["id"]: row for row in rows(runtime, "SELECT * FROM sale")}
    lines, payments = defaultdict(list), defaultdict(lambda: defaultdict(int))
    for row in rows(runtime, "SELECT l.*, p.name FROM sale_line l JOIN product p ON p.id = l.product_id"):
        lines[row["sale_id"]].append(row)
    for row in rows(runtime, "SELECT * FROM sale_payment"):
        payments[row["sale_id"]][row["method"]] += row["amount"] - row["change"]
    daily, products, taxes = (defaultdict(lambda: [0, 0, 0]) for _ in range(3))
    tenders = defaultdict(lambda: [0, 0])
    for key, row in documents.items():
        day = as_instant(row["sale_date"]).date()
        taken_back = row["kind"] in ("return", "cancellation")
        seller = documents[row["origin_id"]]["seller_id"] if taken_back else row["seller_id"]
        if not first <= day <= last or user_id not in (None, seller) or row["warehouse_id"] not in warehouses:
            continue
        if channel not in (None, row["channel"]):
            continue
        sign = {"sale": 1, "cancellation": -1, "return": 0}[row["kind"]]
        daily[day.isoformat()][0] += sign
        daily[day.isoformat()][2] += row["total_amount"]
        methods = sorted(payments[key].items(), key=lambda each: (-abs(each[1]), each[0]))
        for place, (method, amount) in enumerate(methods):
            tenders[method][0] += sign if place == 0 else 0
            tenders[method][1] += amount
        for line in lines[key]:
            daily[day.isoformat()][1] += line["quantity"]
            revenue = line["total_price"] - line["discount_share"]
            products[line["name"]][0] += line["quantity"]
            products[line["name"]][1] += revenue
            tax = taxes[line["tax_id"] or 0, units(line["tax_rate"])]
            tax[0] += revenue + (0 if line["tax_inclusive"] else line["tax_amount"])
            tax[1] += line["tax_amount"]
    best = sorted(products.items(), key=lambda each: (-each[1][1], each[0]))
    return {
        "days": [(day, each[0], units(each[1]), units(each[2])) for day, each in sorted(daily.items()) if any(each)],
        "tenders": sorted((method, each[0], units(each[1])) for method, each in tenders.items() if any(each)),
        "taxes": sorted((*key, units(each[0]), units(each[1])) for key, each in taxes.items() if any(each)),
        "products": [(name, units(each[0]), units(each[1])) for name, each in best if max(each) > 0],
    }


def units(number):
    return Decimal(number) / 10_000


def check_all(make, runtime, people):
    """Compare what everybody sees, over all, a few and single days, with plain sums."""
    users = {row["email"]: row["id"] for row in rows(runtime, "SELECT id, email FROM user_account")}
    today = utc_now().date()
    ranges = [
        (today - timedelta(days=100), today),
        (today - timedelta(days=40), today - timedelta(days=3)),
        (today, today),
    ]
    both = {make.main, make.other}
    for person, channel in [*zip(people, ("counter", None, "phone", "counter"), strict=True), ("admin", None)]:
        user_id = None if person == "admin" else getattr(person, "id", None) or users[f"{person}@test.com"]
        places = both if person not in ("cashier", "supplier") else {make.main}
        for first, last in ranges:
            limits = {"as_": person, "first": first.isoformat(), "last": last.isoformat(), "channel": channel}
            assert report(runtime, **limits) == expected(runtime, user_id, places, first, last, channel)
        here = report(runtime, person, warehouse=make.main, channel=channel)
        assert here == expected(runtime, user_id, {make.main}, date(2026, 1, 1), today, channel)


@pytest.mark.slow
def test_totals_are_exact_whatever_is_counted(make, runtime, history):
    check_all(make, runtime, history)
    assert rebuild_all(runtime) == len(rows(runtime, "SELECT 1 FROM sale"))
    check_all(make, runtime, history)
    assert differences(runtime) == []
    # The same by the job's way, a few documents at a time, from nothing.
    for table in TABLES:
        change(runtime, f"DELETE FROM {table}")
    change(runtime, "INSERT INTO sale_uncounted (sale_id) SELECT id FROM sale")
    check_all(make, runtime, history)
    while count(runtime, 7):
        assert differences(runtime) == []
        if len(rows(runtime, "SELECT 1 FROM sale_uncounted")) < 12:
            fill(runtime)
            assert differences(runtime) == []
            check_all(make, runtime, history)
            count(runtime, 2)
    check_all(make, runtime, history)
    fill(runtime)
    kept = [rows(runtime, f"SELECT * FROM {table}") for table in TABLES]
    rebuild_all(runtime)
    found = [rows(runtime, f"SELECT * FROM {table}") for table in TABLES]
    assert [sorted(map(str, each)) for each in kept] == [sorted(map(str, each)) for each in found]


def test_a_product_s_days_are_what_the_totals_say(make, runtime, history):
    last = utc_now().date()
    first = last - timedelta(days=100)

    def by_product():
        with acting(runtime, "cashier") as session:
            scope = visible_scope(session)
            of_all = totals(session, scope, first, last, ("products",)).products
            days = [days_of_product(session, scope, each.product_id, first, last) for each in of_all]
        sums = [tuple(sum(each[place] for each in rows) for place in (1, 2)) for rows in days]
        assert sums == [(each.quantity, each.revenue) for each in of_all] != []
        return days

    before = by_product()
    count(runtime, 5)
    assert by_product() == before
    fill(runtime)
    assert by_product() == before
    count(runtime)
    assert by_product() == before


def test_a_turn_writes_a_product_once_and_not_in_every_period(make, runtime):
    product = make.product(price="1.00", stock=10)
    count(runtime)  # the first time makes everything anew
    lengths = "SELECT length, COUNT(*) AS number FROM rollup_product GROUP BY length ORDER BY length"
    for turn in (1, 2):
        make.sale([(product, 1)])
        count(runtime)
        assert rows(runtime, lengths) == [{"length": FRESH, "number": 3}], "a row of the seller, the warehouse, all"
        assert sold(report(runtime)) == turn
    fill(runtime)
    assert rows(runtime, lengths) == [{"length": length, "number": 3} for length in LENGTHS]
    assert sold(report(runtime)) == 2 and differences(runtime) == []


@pytest.mark.slow
def test_another_calendar_is_right_at_once_and_counted_later(client, make, runtime, history):
    count(runtime, 7)
    client.patch("/api/settings", {"timezone": "Pacific/Kiritimati", "day_cutoff_hour": 5})
    before = report(runtime), report(runtime, "cashier")
    everything = expected(runtime, None, {make.main, make.other}, date(2026, 1, 1), date(2199, 1, 1), "counter")
    tomorrow = (utc_now().date() + timedelta(days=1)).isoformat()
    assert {**report(runtime, last=tomorrow), "days": []} == {**everything, "days": []}
    count(runtime)
    assert (report(runtime), report(runtime, "cashier")) == before
    assert [dict(row) for row in rows(runtime, "SELECT * FROM rollup_calendar")] == [
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


def test_a_reader_sees_one_moment_while_documents_are_counted(make, runtime):
    product = make.product(price="2.00", stock=100)
    rebuild_all(runtime)
    for number in range(24):
        make.sale([(product, 1)], payment_method=("cash", "card")[number % 2])
    before = report(runtime)
    counted = []
    with between_statements(runtime, lambda: counted.append(count(runtime, 2))):
        assert report(runtime) == report(runtime) == before
    assert 2 < sum(counted) <= 24


def test_a_reader_sees_one_moment_while_the_calendar_changes(make, runtime):
    make.sale([(make.product(price="2.00", stock=100), 1)])
    rebuild_all(runtime)
    before = report(runtime)
    with between_statements(runtime, lambda: change(runtime, "UPDATE rollup_calendar SET day_cutoff_hour = 7")):
        assert report(runtime) == before


def test_what_is_sold_during_a_rebuild_is_counted_next(make, runtime):
    product = make.product(price="1.00", stock=1000)
    for _ in range(5):
        make.sale([(product, 1)])
    wrong = []

    def sell():
        try:
            for _ in range(15):
                make.sale([(product, 1)], as_="cashier")
        except Exception as error:
            wrong.append(error)

    seller = threading.Thread(target=sell)
    seller.start()
    while seller.is_alive():
        rebuild_all(runtime)
        count(runtime, 3)
    seller.join()
    assert wrong == [] and differences(runtime) == []
    assert sold(report(runtime)) == 20
    count(runtime)
    assert sold(report(runtime)) == 20 and differences(runtime) == []
    assert rows(runtime, "SELECT 1 FROM sale_uncounted") == []


def test_no_document_is_counted_twice_by_two_who_count(make, runtime):
    product = make.product(price="1.00", stock=100)
    rebuild_all(runtime)
    for _ in range(12):
        make.sale([(product, 1)])
    counted = []

    def work():
        while number := count(runtime, 2):
            counted.append(number)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    count(runtime)
    assert sum(counted) <= 12 and sold(report(runtime)) == 12 and differences(runtime) == []


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("again", [count, rebuild_all])
def test_a_sale_that_is_committed_after_a_later_one_is_counted(make, runtime, again):
    """Keys become visible out of order: the first sale's is the smaller one, and it is seen last."""
    product = make.product(price="1.00", stock=100)
    rebuild_all(runtime)
    other = make.product(price="2.00", stock=100)
    line = SaleItem(product_id=product.id, quantity=Decimal(1))
    with runtime.unit_of_work() as session:
        first = post_sale(session, SaleCommand(items=(line,), channel="counter", warehouse=make.main)).sale
        later = make.sale([(other, 1)])
        assert first["id"] < later.id
        again(runtime)
        assert rows(runtime, "SELECT 1 FROM sale_uncounted") == [] and sold(report(runtime)) == 1
    assert [row["sale_id"] for row in rows(runtime, "SELECT * FROM sale_uncounted")] == [first["id"]]
    assert sold(report(runtime)) == 2
    again(runtime)
    assert sold(report(runtime)) == 2 and differences(runtime) == []


# --- upkeep ------------------------------------------------------------------------------------------------


def test_the_worker_counts(make, runtime):
    make.sale([(make.product(stock=5), 1)])
    Worker(runtime).run_once()
    assert rows(runtime, "SELECT 1 FROM sale_uncounted") == []
    assert sold(report(runtime)) == 1


def test_a_scope_of_nothing_has_nothing(make, runtime):
    make.sale([(make.product(stock=5), 1)])
    today = utc_now().date()
    for scope in (Scope(warehouses=()), Scope(seller=0), Scope(channel="nowhere")):
        for _ in range(2):
            with acting(runtime, "admin") as session:
                found = totals(session, scope, today - timedelta(days=1), today, PARTS)
            assert found == type(found)()
            count(runtime)


@pytest.mark.parametrize("table", TABLES)
def test_verify_finds_totals_that_are_wrong(make, runtime, table):
    make.sale([(make.product(stock=5), 1)])
    rebuild_all(runtime)
    assert differences(runtime) == []
    figure = dict(zip(TABLES, ("amount", "payment_count", "gross", "revenue"), strict=True))[table]
    change(runtime, f"UPDATE {table} SET {figure} = {figure} + 1 WHERE seller_id = -1")
    assert differences(runtime) and all(subject.startswith(table) for subject, _, _ in differences(runtime))
    change(runtime, f"DELETE FROM {table}")
    assert differences(runtime)
    rebuild_all(runtime)
    assert differences(runtime) == []


def test_the_command_rebuilds(make, runtime, settings, monkeypatch):
    make.sale([(make.product(stock=5), 1)])
    monkeypatch.setenv("TILLHOOK_DATABASE_URL", settings.database_url)
    monkeypatch.setenv("TILLHOOK_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("TILLHOOK_SECRET", settings.secret)
    monkeypatch.setenv("TILLHOOK_MODULES", ",".join(settings.modules))
    done = CliRunner().invoke(cli, ["rollups", "rebuild"])
    assert (done.exit_code, done.output) == (0, "1 documents are counted.\n")
    assert rows(runtime, "SELECT 1 FROM sale_uncounted") == []
