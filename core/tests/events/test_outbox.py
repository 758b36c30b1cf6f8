"""The outbox: in the transaction, in order, none lost."""

import threading

import pytest
from sqlalchemy import event, text

from tillhook.events import read_events, record, record_many, sequence_events
from tillhook.events.outbox import CHUNK

NAME = "inventory:low-stock-alert"


def test_events_of_a_sale_are_read_in_order(client, make):
    product = make.product(name="Mug", price="5.00", stock=11)
    make.sale([(product, 2)])
    events = client.get("/api/events").json["items"]
    assert [event["eventId"] for event in events] == list(range(1, len(events) + 1))
    names = [event["name"] for event in events]
    assert names[-2:] == ["product:inventory-updated", "inventory:low-stock-alert"]
    updated = events[-2]["payload"]["product"]
    assert updated == {"_id": product["id"], "name": "Mug", "inventory": 9, "category": None, "price": 5}
    after = client.get("/api/events", params={"after": str(events[-2]["eventId"])}).json
    assert [event["name"] for event in after["items"]] == ["inventory:low-stock-alert"]


def test_a_refused_sale_leaves_no_event(client, make):
    product = make.product(stock=1)
    before = client.get("/api/events").json["last_event_id"]
    items = [{"product_id": product["id"], "quantity": 2}]
    client.post("/api/sales", {"channel": "counter", "warehouse": make.main, "items": items})
    assert client.get("/api/events").json["last_event_id"] == before


def test_events_of_other_warehouses_are_not_shown(client, make):
    make.product(stock={make.other: 3})
    shown = client.get("/api/events", as_="supplier").json["items"]
    assert {event["warehouse"] for event in shown} <= {None, make.main}
    assert client.get("/api/events", as_="cashier").status_code == 403


def test_figures_are_those_that_the_reader_may_see(client, make):
    product = make.product(stock={make.main: 10, make.other: 97})
    make.sale([(product, 2)])
    client.patch(f"/api/products/{product['id']}", {"name": "Renamed"})
    told = {
        who: [
            event["payload"]["product"]["inventory"]
            for event in client.get("/api/events", as_=who).json["items"]
            if event["name"] in ("product:inventory-updated", "product:updated")
        ]
        for who in ("admin", "supplier")
    }
    assert told["admin"][-2:] == [105, 105]
    shown = client.get(f"/api/products/{product['id']}", as_="supplier").json["inventory"]
    assert shown == "8" and set(told["supplier"]) == {8}


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_a_late_commit_is_not_lost(runtime):
    """Keys become visible out of order: the older one commits after the younger was read."""
    database = runtime.database
    with runtime.unit_of_work() as older:
        record(older, NAME, {"order": "older"})
        older.flush()
        with runtime.unit_of_work() as younger:
            record(younger, NAME, {"order": "younger"})
        with runtime.unit_of_work() as reader:
            sequence_events(reader)
            first = read_events(reader, 0)
    with runtime.unit_of_work() as reader:
        sequence_events(reader)
        rest = read_events(reader, first[-1].seq)
    assert [event.payload["order"] for event in first + rest] == ["younger", "older"]
    assert database.is_postgresql


def test_numbers_have_no_gaps_with_many_writers_and_readers(runtime):
    seen, stop = [], threading.Event()

    def write():
        for number in range(20):
            with runtime.unit_of_work() as session:
                record(session, NAME, {"number": number})

    def read():
        last = 0
        while True:
            finished = stop.is_set()
            with runtime.unit_of_work() as session:
                sequence_events(session)
                events = read_events(session, last, 1000)
            seen.extend(event.seq for event in events)
            last = events[-1].seq if events else last
            if finished and not events:
                return

    writers = [threading.Thread(target=write) for _ in range(6)]
    reader = threading.Thread(target=read)
    for thread in [*writers, reader]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert seen == list(range(1, len(seen) + 1)) and len(seen) >= 120


def test_one_request_numbers_a_part_of_a_backlog(runtime, client):
    """A backlog of a million must not be numbered in one GET."""
    with runtime.unit_of_work() as session:
        record_many(session, [(NAME, {"number": number}, None) for number in range(CHUNK + 500)])
    numbered = "SELECT COUNT(*) FROM outbox WHERE seq IS NOT NULL"
    seen = [client.get("/api/events", params={"limit": "1"}).json["last_event_id"]]
    counts = []
    for _ in range(2):
        with runtime.database.connect() as connection:
            counts.append(connection.scalar(text(numbered)))
        seen.append(client.get("/api/events", params={"after": str(CHUNK), "limit": "1000"}).json["last_event_id"])
    assert (counts, seen) == ([CHUNK, CHUNK + 500], [1, CHUNK + 500, CHUNK + 500])


def test_numbering_reads_what_waits_and_the_last_number_whatever_else_is_there(runtime):
    with runtime.unit_of_work() as session:
        record_many(session, [(NAME, {"number": number}, None) for number in range(3000)])
        while sequence_events(session):
            pass
        record(session, NAME, {})
    statements = []
    event.listen(
        runtime.database.engine,
        "before_cursor_execute",
        lambda connection, cursor, sql, parameters, *_: statements.append((sql, parameters)),
    )
    with runtime.database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("ANALYZE")
    with runtime.unit_of_work() as session:
        sequence_events(session)
        [(sql, parameters)] = [each for each in statements if each[0].startswith("UPDATE outbox")]
        explain = "EXPLAIN " if runtime.database.is_postgresql else "EXPLAIN QUERY PLAN "
        plan = str(session.connection().exec_driver_sql(explain + sql, parameters).all())
    assert "Seq Scan" not in plan and "SCAN outbox" not in plan, plan


def test_an_unknown_event_is_refused(runtime):
    with pytest.raises(ValueError, match="not registered"), runtime.unit_of_work() as session:
        record(session, "nobody:knows", {})


def test_a_backlog_is_numbered_in_pieces_without_a_gap(runtime):
    with runtime.unit_of_work() as session:
        for number in range(25):
            record(session, NAME, {"number": number})
    counts = []
    for _ in range(4):
        with runtime.unit_of_work() as session:
            counts.append(sequence_events(session, limit=10))
    assert counts == [10, 10, 5, 0]
    with runtime.unit_of_work() as session:
        events = read_events(session, 0)
    assert [(each.seq, each.payload["number"]) for each in events] == [(n + 1, n) for n in range(25)]
