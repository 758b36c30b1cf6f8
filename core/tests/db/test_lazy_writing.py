"""A transaction that writes late: SQLite's writer lock is taken with the first statement that writes or locks."""

import threading

import pytest
from sqlalchemy import select, text, update

from tillhook.db import begin_writing, fetch, insert_rows
from tillhook.numbering import NumberSeries, next_number


@pytest.fixture
def database(runtime):
    """With a number series that stands at 1."""
    with runtime.database.unit_of_work() as session:
        next_number(session, "test")
    return runtime.database


def last(session):
    return session.scalars(select(NumberSeries.last).where(NumberSeries.name == "test")).one()


def write(database):
    """Take the next number in a thread, and return whether it came through at once."""
    done = threading.Event()

    def run():
        with database.unit_of_work() as session:
            next_number(session, "test")
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    came_through = done.wait(0.5)
    return came_through, thread


WRITES = {
    "core": lambda session: session.execute(update(NumberSeries).values(last=NumberSeries.last + 10)),
    "orm": lambda session: (session.add(NumberSeries(name="other", last=7)), session.flush()),
    "text": lambda session: session.execute(text("UPDATE number_series SET last = last + 10")),
    "with": lambda session: session.execute(
        text("WITH n AS (SELECT 10 AS more) UPDATE number_series SET last = last + (SELECT more FROM n)")
    ),
    "fetch": lambda session: fetch(session.connection(), "UPDATE number_series SET last = last + 10 RETURNING last"),
    "many": lambda session: insert_rows(session.connection(), "number_series", [{"name": "other", "last": 7}]),
    "lock": lambda session: session.get(NumberSeries, "test", with_for_update=True, populate_existing=True),
    "savepoint": lambda session: session.connection().begin_nested(),
    "asked": lambda session: begin_writing(session.connection()),
}


def test_who_only_reads_holds_nobody_up_and_sees_one_state(database):
    with database.unit_of_work(lazy=True) as session:
        assert last(session) == 1
        came_through, thread = write(database)
        assert came_through
        thread.join()
        if not database.is_postgresql:
            assert last(session) == 1


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize("how", WRITES)
def test_the_first_statement_that_writes_or_locks_makes_a_writer(database, how):
    with database.unit_of_work(lazy=True) as session:
        assert last(session) == 1
        came_through, thread = write(database)  # the snapshot is old now
        assert came_through
        thread.join()
        WRITES[how](session)
        came_through, thread = write(database)
        assert not came_through
        assert last(session) in (2, 12)  # what the other one has written is seen
    thread.join()
    with database.unit_of_work(write=False) as session:
        assert last(session) in (3, 13)


@pytest.mark.parametrize("engine_name", ["sqlite"])
def test_a_failure_lets_go_of_the_lock(database):
    with pytest.raises(RuntimeError), database.unit_of_work(lazy=True) as session:
        session.execute(text("UPDATE number_series SET last = 99"))
        raise RuntimeError
    came_through, thread = write(database)
    thread.join()
    assert came_through
    with database.unit_of_work(write=False) as session:
        assert last(session) == 2


def test_two_that_read_and_lock_late_lose_no_change(database):
    """Both have read before either writes; with a row lock each counts on from the other."""
    both_read = threading.Barrier(2, timeout=10)

    def count():
        with database.unit_of_work(lazy=True) as session:
            last(session)
            both_read.wait()
            row = session.get(NumberSeries, "test", with_for_update=True)
            row.last += 1

    threads = [threading.Thread(target=count) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.unit_of_work(write=False) as session:
        assert last(session) == 3
