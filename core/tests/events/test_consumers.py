"""Consumers in the worker: each at its own pace, in order, at least once, one worker at a time."""

import threading
import time
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select, update

from tillhook.cli.main import cli
from tillhook.db import RetryTransaction, utc_now
from tillhook.errors import DomainError
from tillhook.events import read_events, record, sequence_events
from tillhook.events.consumers import feed, introduce, list_consumers, prune
from tillhook.events.models import ConsumerCursor, OutboxEvent
from tillhook.events.turns import LEASE, pause_after, renew, take
from tillhook.hooks import Consumer
from tillhook.sales import SaleIn, post_sale
from tillhook.server.worker import Worker

NAME = "inventory:low-stock-alert"
OTHER = "product:inventory-updated"


def write(runtime, *numbers, name=NAME):
    with runtime.unit_of_work() as session:
        for number in numbers:
            record(session, name, {"number": number})


def numbers_of(events):
    return [event.payload["number"] for event in events]


def into(collected):
    """Return how events are delivered into a list."""
    return lambda runtime, events: collected.extend(events)


@pytest.fixture
def worker_of(runtime, monkeypatch):
    """Make a worker that has these consumers, introduced, and no jobs."""
    with runtime.unit_of_work() as session:
        session.execute(delete(ConsumerCursor))  # those of the installed plugins

    def worker_of(*consumers):
        monkeypatch.setattr(runtime.registry, "jobs", {})
        monkeypatch.setattr(runtime.registry, "consumers", {consumer.name: consumer for consumer in consumers})
        with runtime.unit_of_work() as session:
            introduce(session, consumers)
        return Worker(runtime)

    return worker_of


def cursor_of(runtime, name):
    with runtime.unit_of_work(write=False) as session:
        return session.get(ConsumerCursor, name)


def let_it_try_again(runtime, name):
    with runtime.unit_of_work() as session:
        session.execute(update(ConsumerCursor).where(ConsumerCursor.name == name).values(next_at=utc_now()))


@pytest.mark.parametrize("way", ["handle", "deliver"])
def test_every_event_is_handed_out_once_and_in_order(runtime, worker_of, way):
    got = []
    worker = worker_of(Consumer(name="mail", events=(NAME,), **{way: lambda *given: got.extend(given[-1])}))
    write(runtime, *range(250))
    write(runtime, -1, name=OTHER)
    worker.run_once()
    write(runtime, 250)
    worker.run_once()
    assert numbers_of(got) == list(range(251))
    assert [event.seq for event in got] == sorted(event.seq for event in got)
    with runtime.unit_of_work(write=False) as session:
        [status] = list_consumers(session)
    assert (status.lag, status.lag_s, status.cursor.held_by) == (0, 0, None)


@pytest.mark.parametrize("way", ["handle", "deliver"])
def test_a_sale_does_not_wait_for_a_consumer_that_thinks(runtime, client, make, worker_of, way):
    product = make.product(stock=20)
    inside, go_on = threading.Event(), threading.Event()

    def think(*_given):
        inside.set()
        assert go_on.wait(20)

    worker = worker_of(Consumer(name="slow", **{way: think}))
    write(runtime, 1)
    thread = threading.Thread(target=worker.run_once)
    thread.start()
    assert inside.wait(10)
    began = time.monotonic()
    make.sale([(product, 2)])
    took = time.monotonic() - began
    go_on.set()
    thread.join()
    assert took < 1


def test_a_handler_that_sells_goes_by_what_is_there_when_it_writes(runtime, client, make, worker_of):
    """Somebody else sells between its first look and its sale."""
    product = make.product(stock=10)
    body = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product["id"], "quantity": 6}]}
    seen, refused = [], []

    def sell(session, events):
        seen.append(read_events(session, 0))
        client.post("/api/sales", body)
        try:
            post_sale(session, SaleIn().load(body))
        except DomainError as error:
            refused.append(error.code)

    worker = worker_of(Consumer(name="slow", handle=sell, events=(NAME,)))
    write(runtime, 1)
    worker.run_once()
    assert (len(seen), len(refused)) == (1, 1)
    assert make.stock(product) == 4


def test_one_consumer_does_not_wait_for_another(runtime, worker_of):
    inside, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def think(runtime, events):
        inside.set()
        assert go_on.wait(20)

    worker = worker_of(Consumer(name="a-slow", deliver=think), Consumer(name="b-quick", deliver=lambda *_: done.set()))
    write(runtime, 1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert inside.wait(10) and done.wait(10)
    done.clear()
    write(runtime, 2)
    assert done.wait(10)  # the slow one still has the first
    go_on.set()
    worker.stop()
    thread.join()


def test_what_a_handler_writes_is_committed_with_its_place(runtime, worker_of):
    def fail_later(session, events):
        record(session, OTHER, {"number": 99})
        raise RuntimeError("after writing")

    worker = worker_of(Consumer(name="copy", handle=fail_later, events=(NAME,)))
    write(runtime, 1)
    worker.run_once()
    with runtime.unit_of_work() as session:
        sequence_events(session)
        assert read_events(session, 0, names=[OTHER]) == []
    assert cursor_of(runtime, "copy").seq == 0


def test_a_failure_is_entered_and_delays_only_the_one_that_fails(runtime, worker_of):
    tries, got = [], []

    def fail(runtime, events):
        tries.append(len(events))
        raise ConnectionError("the mail server is down")

    worker = worker_of(Consumer(name="mail", deliver=fail), Consumer(name="other", deliver=into(got)))
    write(runtime, 1, 2)
    worker.run_once()
    worker.run_once()  # not yet
    assert (tries, numbers_of(got)) == ([2, 1], [1, 2])
    cursor = cursor_of(runtime, "mail")
    assert (cursor.failures, cursor.last_error) == (1, "ConnectionError: the mail server is down")
    let_it_try_again(runtime, "mail")
    worker.run_once()
    assert cursor_of(runtime, "mail").failures == 2
    assert cursor_of(runtime, "mail").next_at > utc_now()


def test_pauses_double_to_five_minutes():
    seconds = [pause_after(failures).total_seconds() for failures in (1, 2, 3, 8, 9, 10, 10_000)]
    assert seconds == [1, 2, 4, 128, 256, 300, 300]


def test_the_event_that_it_fails_at_can_be_skipped(runtime, worker_of, run):
    got = []

    def deliver(runtime, events):
        if 5 in numbers_of(events):
            raise ValueError("a bad one")
        got.extend(numbers_of(events))

    worker = worker_of(Consumer(name="mail", deliver=deliver))
    write(runtime, *range(10))
    worker.run_once()
    assert got == [0, 1, 2, 3, 4]
    shown = run("consumers", "list").output
    assert "ValueError: a bad one" in shown
    assert run("consumers", "skip", "mail").output == "mail passes over event 6.\n"
    worker.run_once()
    assert got == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert run("consumers", "skip", "mail").output == "No event waits for mail.\n"


@pytest.fixture
def run(runtime, monkeypatch):
    """Run one command with the runtime of the test."""
    monkeypatch.setattr("tillhook.cli.context.Context.runtime", runtime)

    def run(*arguments):
        done = CliRunner().invoke(cli, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done

    return run


def test_a_new_consumer_begins_now_unless_it_wants_the_beginning(runtime, worker_of):
    write(runtime, 1)
    late, whole = [], []
    worker = worker_of(
        Consumer(name="late", deliver=into(late)), Consumer(name="whole", deliver=into(whole), from_beginning=True)
    )
    write(runtime, 2)
    worker.run_once()
    assert (numbers_of(late), numbers_of(whole)) == ([2], [1, 2])


def test_reset_goes_back_and_as_if_new(runtime, worker_of, run):
    got = []
    worker = worker_of(Consumer(name="mail", deliver=into(got)))
    write(runtime, 1, 2, 3)
    worker.run_once()
    assert run("consumers", "reset", "mail", "--to", "1").output == "mail goes on after event 1.\n"
    worker.run_once()
    assert numbers_of(got) == [1, 2, 3, 2, 3]
    write(runtime, 4)
    assert "after event 3" in run("consumers", "reset", "mail").output  # the fourth has no number yet
    run("consumers", "reset", "mail", "--to", "0")
    with runtime.unit_of_work(write=False) as session:
        [status] = list_consumers(session)
    assert status.lag == 4
    assert status.lag_s > 0


def test_the_lag_is_measured_and_told(runtime, worker_of, client):
    worker_of(Consumer(name="mail", deliver=into([])))
    write(runtime, 1, 2)
    text = client.get("/metrics").text
    assert 'tillhook_consumer_lag_events{consumer="mail"} 2.0' in text
    assert 'tillhook_consumer_lag_seconds{consumer="mail"}' in text
    state = client.get("/readyz").json["consumers"]["mail"]
    assert (state["lag"], state["failures"]) == (2, 0)


def test_two_workers_never_hand_the_same_events_to_a_consumer(runtime, worker_of):
    got, inside, go_on = [], threading.Event(), threading.Event()

    def think(runtime, events):
        got.extend(numbers_of(events))
        inside.set()
        assert go_on.wait(20)

    consumer = Consumer(name="mail", deliver=think)
    worker = worker_of(consumer)
    write(runtime, 1)
    thread = threading.Thread(target=worker.run_once)
    thread.start()
    assert inside.wait(10)
    Worker(runtime).run_once()
    feed(runtime, consumer, "a third")
    go_on.set()
    thread.join()
    assert got == [1]


@pytest.mark.parametrize("way", ["handle", "deliver"])
def test_who_gave_no_sign_of_life_loses_the_turn_and_its_work(runtime, worker_of, way):
    def stall(*given):
        if way == "handle":
            record(given[0], OTHER, {"number": 0})
        # Time passes; another worker comes.
        with runtime.unit_of_work() as session:
            session.execute(update(ConsumerCursor).values(held_until=utc_now() - timedelta(seconds=1)))
            assert take(session, ConsumerCursor, "mail", "another") is not None

    consumer = Consumer(name="mail", events=(NAME,), **{way: stall})
    if way == "handle" and not runtime.database.is_postgresql:
        pytest.skip("who has written on SQLite cannot be overtaken")
    worker_of(consumer)
    write(runtime, 1)
    with runtime.unit_of_work() as session:
        sequence_events(session)
    feed(runtime, consumer, "the first")
    cursor = cursor_of(runtime, "mail")
    assert (cursor.seq, cursor.held_by) == (0, "another")
    with runtime.unit_of_work() as session:
        sequence_events(session)
        assert read_events(session, 0, names=[OTHER]) == []


def test_a_sign_of_life_keeps_the_turn(runtime, worker_of):
    worker_of(Consumer(name="mail", deliver=into([])))
    with runtime.unit_of_work() as session:
        take(session, ConsumerCursor, "mail", "me")
        session.execute(update(ConsumerCursor).values(held_until=utc_now() + timedelta(seconds=1)))
        renew(session, ConsumerCursor, "me", ["mail"])
    assert cursor_of(runtime, "mail").held_until > utc_now() + LEASE / 2


@pytest.mark.parametrize("way", ["handle", "deliver"])
@pytest.mark.parametrize("ends", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_one_that_ends_its_process_fails_like_any_other(runtime, worker_of, way, ends):
    def leave(*_given):
        raise ends

    got = []
    worker = worker_of(Consumer(name="bad", **{way: leave}), Consumer(name="good", deliver=into(got)))
    write(runtime, 1, 2)
    worker.run_once()
    assert numbers_of(got) == [1, 2]
    cursor = cursor_of(runtime, "bad")
    assert (cursor.failures, cursor.held_by) == (1, None)
    assert cursor.last_error.startswith(f"{type(ends).__name__}: ")
    assert cursor.next_at > utc_now()


def test_a_pause_that_was_entered_while_the_clock_was_wrong_does_not_last(runtime, worker_of):
    got = []
    worker = worker_of(Consumer(name="mail", deliver=into(got)))
    write(runtime, 1)
    with runtime.unit_of_work() as session:
        session.execute(update(ConsumerCursor).values(failures=3, next_at=utc_now() + timedelta(days=40)))
    worker.run_once()
    assert numbers_of(got) == [1]


def test_a_handler_that_meets_a_concurrent_transaction_gets_them_again_as_they_were(runtime, worker_of):
    seen = []

    def change(session, events):
        seen.append(numbers_of(events))
        events[0].payload["number"] = "changed"
        if len(seen) < 3:
            raise RetryTransaction

    got = []
    worker = worker_of(Consumer(name="a", handle=change), Consumer(name="b", deliver=into(got)))
    write(runtime, 1)
    worker.run_once()
    assert (seen, numbers_of(got)) == ([[1], [1], [1]], [1])
    with runtime.unit_of_work(write=False) as session:
        assert session.scalars(select(OutboxEvent.payload)).all() == [{"number": 1}]


class TestPruning:
    """Events go when they are old and every consumer has had them."""

    @pytest.fixture
    def left(self, runtime):
        def left():
            with runtime.unit_of_work() as session:
                prune(session)
            with runtime.unit_of_work(write=False) as session:
                return session.scalars(select(OutboxEvent.seq).order_by(OutboxEvent.seq)).all()

        return left

    @pytest.fixture
    def old(self, runtime):
        """Let the events be older than the setting's 30 days, up to the one with this number."""

        def old(until):
            with runtime.unit_of_work() as session:
                statement = update(OutboxEvent).where(OutboxEvent.seq <= until)
                session.execute(statement.values(occurred_at=utc_now() - timedelta(days=31)))

        return old

    def test_what_a_consumer_has_not_had_stays(self, runtime, worker_of, old, left):
        consumers = [Consumer(name="quick", deliver=into([])), Consumer(name="stuck", deliver=lambda *_: 1 / 0)]
        worker = worker_of(*consumers)
        write(runtime, 1, 2, 3, 4)
        worker.run_once()
        old(until=3)
        assert left() == [1, 2, 3, 4]
        with runtime.unit_of_work() as session:
            session.execute(update(ConsumerCursor).where(ConsumerCursor.name == "stuck").values(seq=2))
        assert left() == [3, 4]

    def test_nobody_waits_for_a_consumer_that_is_gone(self, runtime, worker_of, old, left):
        worker_of(Consumer(name="gone", deliver=into([])))
        worker = worker_of(Consumer(name="stays", deliver=into([])))
        write(runtime, 1, 2, 3)
        worker.run_once()
        old(until=2)
        assert left() == [3]

    def test_numbers_go_on_when_everything_is_old(self, runtime, worker_of, old, left):
        got = []
        worker = worker_of(Consumer(name="mail", deliver=into(got)))
        write(runtime, 1, 2, 3)
        worker.run_once()
        old(until=3)
        assert left() == [3]
        write(runtime, 4)
        worker.run_once()
        assert [event.seq for event in got] == [1, 2, 3, 4]


def test_a_consumer_is_handed_events_in_one_way():
    for ways in ({}, {"handle": print, "deliver": print}):
        with pytest.raises(ValueError, match="consumer mail needs one of handle and deliver"):
            Consumer(name="mail", **ways)
