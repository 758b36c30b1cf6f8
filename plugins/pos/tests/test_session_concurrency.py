"""Tills that are opened, sold at and closed at the same time: every document is in one Z report, none is lost."""

import threading
from collections import Counter
from decimal import Decimal

import pytest

from tillhook.testing import differences, many_at_once

pytestmark = pytest.mark.xdist_group("concurrency")

TILL = "pos-01"
SELLERS = 6
KINDS = ("sales", "returns", "exchanges", "cancellations")


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_till_is_opened_once(server, runtime):
    answers = many_at_once(12, lambda number: server.post("/api/pos/sessions", {"till": TILL, "warehouse": 1}))
    assert Counter(status for status, _ in answers) == {201: 1, 409: 11}
    opened = next(answer["id"] for status, answer in answers if status == 201)
    assert {answer["session"] for status, answer in answers if status == 409} == {opened}


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_session_is_closed_once(server):
    _, session = server.post("/api/pos/sessions", {"till": TILL, "warehouse": 1})
    path = f"/api/pos/sessions/{session['id']}/close"
    answers = many_at_once(12, lambda number: server.post(path, {"counted_cash": number}))
    assert Counter(status for status, _ in answers) == {200: 1, 409: 11}
    assert {answer["z_number"] for _, answer in answers} == {1}


@pytest.mark.parametrize("required", [False, True])
def test_every_sale_is_in_one_z_report_however_it_is_timed(server, make, client, runtime, required):
    """Six sellers at two tills, which are closed and opened again under their hands."""
    assert client.patch("/api/settings", {"pos.require_session": required}).status_code == 200
    bread = make.product(price="2.00", stock=100_000)
    main = make.main
    item = {"product_id": bread.id, "quantity": "1"}
    done = threading.Event()

    def sell(number):
        """Sell until all is closed; with a session required a sale may find the till closed, and is not made."""
        sold, connection = 0, server.connect()
        body = {"channel": "pos", "warehouse": main, "items": [item], "source_device": f"pos-{number % 2}"}
        while not done.is_set():
            status, answer = server.post("/api/sales", body, connection=connection)
            assert status == 201 or answer["code"] == "pos-no-open-session", answer
            sold += status == 201
        connection.close()
        return sold

    def run_till(number):
        reports = []
        for _ in range(3):
            status, session = server.post("/api/pos/sessions", {"till": f"pos-{number % 2}", "warehouse": main})
            assert status == 201, session
            path = f"/api/pos/sessions/{session['id']}"
            assert server.post(path + "/cash", {"direction": "in", "amount": "1", "reason": "x"})[0] == 201
            for _ in range(2):
                assert server.get(path + "/report")[0] == 200
            assert server.post(path + "/close", {"counted_cash": 0})[0] == 200
            reports.append(server.get(path + "/report")[1])
        return reports

    def work(number):
        if number < SELLERS:
            return sell(number)
        try:
            return run_till(number)
        finally:
            closed.append(number)
            if len(closed) == 2:
                done.set()

    closed = []
    results = many_at_once(SELLERS + 2, work)
    # What came after the last closing is in the next report.
    last = []
    for name in ("pos-0", "pos-1"):
        _, session = server.post("/api/pos/sessions", {"till": name, "warehouse": main})
        server.post(f"/api/pos/sessions/{session['id']}/close", {"counted_cash": 0})
        last.append(server.get(f"/api/pos/sessions/{session['id']}/report")[1])
    reports = [*results[-2], *results[-1], *last]
    sold = sum(results[:SELLERS])
    outside = _outside(runtime)
    own = sum(each[kind]["count"] for each in reports for kind in KINDS)
    late = sum(each["late"]["count"] for each in reports)
    assert sold == own + late + outside and own > 0
    amount = sum(Decimal(each["net_total"]) + Decimal(each["late"]["total"]) for each in reports)
    assert amount == 2 * (sold - outside)
    assert sorted(each["number"] for each in reports) == sorted([*range(1, 5)] * 2)
    if required:
        # A sale that found the till open is in the session that it found.
        assert (late, outside) == (0, 0)
    assert "deadlock" not in server.logs().lower()
    assert differences(runtime) == []


def test_a_persons_two_sessions_share_browser_sales_without_doubling(server, make, runtime):
    """The sales of one drawer are wanted by two sessions that close at the same moment."""
    bread = make.product(price="2.00", stock=1000)
    body = {"channel": "pos", "warehouse": make.main, "items": [{"product_id": bread.id, "quantity": "1"}]}
    for _ in range(2):
        sessions = [server.post("/api/pos/sessions", {"till": name, "warehouse": 1})[1] for name in ("a", "b")]
        assert {server.post("/api/sales", body)[0] for _ in range(6)} == {201}
        paths = [f"/api/pos/sessions/{session['id']}" for session in sessions]
        assert many_at_once(2, lambda each: server.post(paths[each] + "/close", {"counted_cash": 0})[0]) == [200, 200]  # noqa: B023
        reports = [server.get(path + "/report")[1] for path in paths]
        assert sum(each["sales"]["count"] + each["late"]["count"] for each in reports) == 6
    assert differences(runtime) == []


def _outside(runtime):
    with runtime.database.connect() as connection:
        return connection.exec_driver_sql("SELECT COUNT(*) FROM pos_document WHERE session_id = 0").scalar_one()
