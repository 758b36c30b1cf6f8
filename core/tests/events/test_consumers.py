"""Consumers and jobs in the worker: nobody waits for a slow one, a conflict is tried again."""

import threading

import pytest

from tillhook.db import RetryTransaction
from tillhook.events import dispatch, read_events, record, sequence_events
from tillhook.hooks import Consumer, Job
from tillhook.server.worker import Worker

NAME = "inventory:low-stock-alert"


def write(runtime, *numbers):
    with runtime.unit_of_work() as session:
        for number in numbers:
            record(session, NAME, {"number": number})


def worker_of(runtime, monkeypatch, *, jobs=(), consumers=()):
    monkeypatch.setattr(runtime.registry, "jobs", {job.name: job for job in jobs})
    monkeypatch.setattr(runtime.registry, "consumers", {consumer.name: consumer for consumer in consumers})
    return Worker(runtime)


def test_the_worker_hands_out_every_event_once_and_in_order(runtime, monkeypatch):
    got = []
    consumer = Consumer(name="mail", handle=lambda session, events: got.extend(events), events=(NAME,))
    worker = worker_of(runtime, monkeypatch, consumers=[consumer])
    write(runtime, *range(250))
    worker.run_once()
    write(runtime, 250)
    worker.run_once()
    assert [event.payload["number"] for event in got] == list(range(251))
    assert [event.seq for event in got] == sorted(event.seq for event in got)


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_readers_do_not_wait_for_a_slow_consumer(runtime, client, monkeypatch):
    write(runtime, 1)
    seen = []

    def slow(session, events):
        write(runtime, 2)
        with runtime.unit_of_work() as reader:
            reader.connection().exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
            sequence_events(reader)
            seen.extend(event.payload["number"] for event in read_events(reader, 0))

    worker = worker_of(runtime, monkeypatch, consumers=[Consumer(name="slow", handle=slow)])
    worker.run_once()
    assert seen[:2] == [1, 2]


@pytest.mark.parametrize("engine_name", ["postgresql"])
def test_two_workers_never_hand_the_same_events_to_a_consumer(runtime):
    write(runtime, 1)
    with runtime.unit_of_work() as session:
        sequence_events(session)
    got, inside, go_on = [], threading.Event(), threading.Event()

    def take(session, events):
        got.extend(event.payload["number"] for event in events)
        inside.set()
        go_on.wait(5)

    consumer = Consumer(name="mail", handle=take)

    def first():
        with runtime.unit_of_work() as session:
            dispatch(session, consumer)

    for _ in range(2):  # the cursor is new, and then it is there
        thread = threading.Thread(target=first)
        thread.start()
        inside.wait(5)
        other = threading.Thread(target=first)
        other.start()
        other.join(0.5)
        go_on.set()
        thread.join()
        other.join()
        inside.clear()
        go_on.clear()
        write(runtime, 2)
        with runtime.unit_of_work() as session:
            sequence_events(session)
    assert got == [1, 2]


def test_a_job_that_meets_a_concurrent_transaction_runs_again_at_once(runtime, monkeypatch):
    tries = []

    def run(session):
        tries.append(1)
        record(session, NAME, {"try": len(tries)})
        if len(tries) < 3:
            raise RetryTransaction

    worker = worker_of(runtime, monkeypatch, jobs=[Job(name="daily", every_s=86_400, run=run)])
    worker.run_once()
    worker.run_once()
    assert len(tries) == 3
    with runtime.unit_of_work() as session:
        sequence_events(session)
        assert [event.payload for event in read_events(session, 0, names=[NAME])] == [{"try": 3}]


def test_a_job_that_fails_stops_nobody(runtime, monkeypatch):
    done = []

    def fail(session):
        raise RuntimeError("no")

    jobs = [Job(name="bad", every_s=60, run=fail), Job(name="good", every_s=60, run=lambda session: done.append(1))]
    worker_of(runtime, monkeypatch, jobs=jobs).run_once()
    assert done == [1]
