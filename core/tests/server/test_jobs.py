"""Jobs: once per turn whatever the number of workers and restarts, tried again after a failure."""

import sys
import threading
import time
from datetime import datetime, timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from tillhook.cli.main import cli
from tillhook.db import RetryTransaction, utc_now
from tillhook.errors import StartupError
from tillhook.events import read_events, record, sequence_events
from tillhook.hooks import Job
from tillhook.reference import bump_epoch
from tillhook.reference.models import Setting
from tillhook.server.models import JobTurn, WorkerSign
from tillhook.server.vital_signs import worker_state
from tillhook.server.worker import Worker

NAME = "inventory:low-stock-alert"


@pytest.fixture
def worker_of(runtime, monkeypatch):
    """Make a worker that has these jobs and no consumers."""

    def worker_of(*jobs):
        monkeypatch.setattr(runtime.registry, "jobs", {job.name: job for job in jobs})
        monkeypatch.setattr(runtime.registry, "consumers", {})
        return Worker(runtime)

    return worker_of


def turn_of(runtime, name):
    with runtime.unit_of_work(write=False) as session:
        return session.get(JobTurn, name)


def let_time_pass(runtime, **values):
    with runtime.unit_of_work() as session:
        session.execute(update(JobTurn).values({"next_at": utc_now(), **values}))


def test_a_restart_runs_nothing_again(runtime, worker_of):
    runs = []
    job = Job(name="daily", every_s=86_400, run=lambda session: runs.append(1))
    worker_of(job).run_once()
    worker_of(job).run_once()
    assert len(runs) == 1
    let_time_pass(runtime)
    worker_of(job).run_once()
    assert len(runs) == 2


def test_of_several_workers_one_has_the_turn(runtime, worker_of):
    runs, inside, go_on = [], threading.Event(), threading.Event()

    def run(session):
        runs.append(1)
        inside.set()
        assert go_on.wait(20)

    worker = worker_of(Job(name="daily", every_s=1, run=run))
    thread = threading.Thread(target=worker.run_once)
    thread.start()
    assert inside.wait(10)
    let_time_pass(runtime)
    Worker(runtime).run_once()
    assert turn_of(runtime, "daily").held_by == worker.name
    go_on.set()
    thread.join()
    assert len(runs) == 1
    assert turn_of(runtime, "daily").held_by is None


def test_at_a_time_of_day_it_waits_for_it_and_makes_up_for_a_missed_one(runtime, worker_of):
    runs = []
    job = Job(name="nightly", at="03:00", run=lambda session: runs.append(1))
    worker_of(job).run_once()
    assert runs == []
    let_time_pass(runtime, next_at=utc_now() - timedelta(hours=9))
    worker_of(job).run_once()
    assert len(runs) == 1
    assert utc_now() < turn_of(runtime, "nightly").next_at <= utc_now() + timedelta(days=1)


def test_another_time_zone_changes_the_next_turn(runtime, worker_of):
    worker = worker_of(Job(name="nightly", at="03:00", run=print))
    worker.run_once()
    assert f"{turn_of(runtime, 'nightly').next_at:%H:%M}" == "03:00"
    with runtime.unit_of_work() as session:
        session.add(Setting(key="timezone", value="Asia/Kathmandu"))
        bump_epoch(session)
    worker.run_once()
    assert f"{turn_of(runtime, 'nightly').next_at:%H:%M}" == "21:15"
    assert turn_of(runtime, "nightly").schedule == "at 03:00 Asia/Kathmandu"


def test_a_sale_does_not_wait_for_a_job_that_thinks(runtime, client, make, worker_of):
    product = make.product(stock=20)
    inside, go_on = threading.Event(), threading.Event()

    def think(session):
        read_events(session, 0)
        inside.set()
        assert go_on.wait(20)
        record(session, NAME, {"number": 1})

    thread = threading.Thread(target=worker_of(Job(name="slow", every_s=60, run=think)).run_once)
    thread.start()
    assert inside.wait(10)
    began = time.monotonic()
    make.sale([(product, 2)])
    took = time.monotonic() - began
    go_on.set()
    thread.join()
    assert took < 1
    assert turn_of(runtime, "slow").failures == 0


def test_a_job_that_meets_a_concurrent_transaction_runs_again_at_once(runtime, worker_of):
    tries = []

    def run(session):
        tries.append(1)
        record(session, NAME, {"try": len(tries)})
        if len(tries) < 3:
            raise RetryTransaction

    worker_of(Job(name="daily", every_s=86_400, run=run)).run_once()
    assert len(tries) == 3
    with runtime.unit_of_work() as session:
        sequence_events(session)
        assert [event.payload for event in read_events(session, 0, names=[NAME])] == [{"try": 3}]


def test_a_failure_stops_nobody_and_is_tried_again(runtime, worker_of, run):
    done = []

    def fail(session):
        done.append("bad")
        record(session, NAME, {})
        raise RuntimeError("no")

    jobs = [
        Job(name="bad", at="03:00", run=fail),
        Job(name="good", every_s=60, run=lambda session: done.append("good")),
    ]
    worker = worker_of(*jobs)
    worker.run_once()
    let_time_pass(runtime)
    done.clear()
    worker.run_once()
    assert sorted(done) == ["bad", "good"]
    turn = turn_of(runtime, "bad")
    assert (turn.failures, turn.last_error, turn.last_run_at) == (1, "RuntimeError: no", None)
    assert turn.next_at < utc_now() + timedelta(seconds=2)
    assert "RuntimeError: no" in run("jobs", "list").output
    let_time_pass(runtime)
    worker.run_once()
    assert turn_of(runtime, "bad").failures == 2
    with runtime.unit_of_work() as session:
        sequence_events(session)
        assert read_events(session, 0, names=[NAME]) == []


@pytest.fixture
def run(runtime, monkeypatch):
    """Run one command with the runtime of the test."""
    monkeypatch.setattr("tillhook.cli.context.Context.runtime", runtime)
    return lambda *arguments: CliRunner().invoke(cli, arguments)


def test_one_that_is_gone_and_comes_back_runs_once(runtime, worker_of):
    runs = []
    job = Job(name="zebra.stripes", every_s=60, run=lambda session: runs.append(1))
    worker_of(job).run_once()
    let_time_pass(runtime, next_at=utc_now() - timedelta(days=9))
    worker_of().run_once()
    worker_of(job).run_once()
    worker_of(job).run_once()
    assert len(runs) == 2


def test_a_job_is_run_by_hand(runtime, worker_of, run):
    runs = []
    worker_of(Job(name="nightly", at="03:00", run=lambda session: runs.append(1)))
    assert run("jobs", "run", "nightly").output == "nightly is done.\n"
    assert len(runs) == 1
    assert turn_of(runtime, "nightly").last_run_at is not None
    assert isinstance(run("jobs", "run", "weekly").exception, StartupError)
    let_time_pass(runtime, held_by="somebody", held_until=utc_now() + timedelta(seconds=9))
    assert "a worker runs nightly right now" in str(run("jobs", "run", "nightly").exception)


def test_a_hanging_job_does_not_keep_the_worker_from_stopping(runtime, worker_of, monkeypatch):
    monkeypatch.setattr("tillhook.server.worker._GRACE_S", 0.1)
    inside, go_on = threading.Event(), threading.Event()

    def hang(session):
        inside.set()
        go_on.wait(60)

    worker = worker_of(Job(name="hangs", every_s=60, run=hang))
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert inside.wait(10)
    worker.stop()
    thread.join(10)
    assert not thread.is_alive()
    go_on.set()
    for left in worker._threads.values():
        left.join()


@pytest.mark.parametrize("ends", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_a_job_that_ends_its_process_fails_like_any_other(runtime, worker_of, capsys, ends):
    done = []

    def leave(session):
        record(session, NAME, {})
        raise ends

    worker = worker_of(
        Job(name="bad", at="03:00", run=leave), Job(name="good", every_s=60, run=lambda session: done.append(1))
    )
    worker.run_once()
    let_time_pass(runtime)
    worker.run_once()
    assert len(done) == 2
    turn = turn_of(runtime, "bad")
    assert (turn.failures, turn.held_by, turn.last_run_at) == (1, None, None)
    assert turn.last_error.startswith(f"{type(ends).__name__}: ")
    assert turn.next_at < utc_now() + timedelta(seconds=2)
    assert "job bad" in capsys.readouterr().out
    with runtime.unit_of_work() as session:
        sequence_events(session)
        assert read_events(session, 0, names=[NAME]) == []


def test_a_job_that_leaves_when_it_is_run_by_hand_has_failed(runtime, worker_of, run):
    worker_of(Job(name="nightly", at="03:00", run=lambda session: sys.exit(0)))
    assert "nightly has failed: it called sys.exit(0)" in str(run("jobs", "run", "nightly").exception)


class TestLeases:
    """Whose a turn is, when workers die, are suspended, lose the database, or have clocks that differ."""

    def test_what_a_suspended_worker_did_is_undone_when_another_has_taken_over(self, runtime, worker_of):
        """Also when that one is done with it."""
        inside, go_on = threading.Event(), threading.Event()
        names = []

        def run(session):
            names.append(threading.current_thread().name)
            if len(names) == 1:
                inside.set()
                assert go_on.wait(20)
            record(session, NAME, {"run": len(names)})

        job = Job(name="daily", every_s=86_400, run=run)
        suspended = worker_of(job)
        thread = threading.Thread(target=suspended.run_once)
        thread.start()
        assert inside.wait(10)
        suspended._signed_at = float("inf")
        let_time_pass(runtime, held_until=utc_now() - timedelta(seconds=1))
        Worker(runtime).run_once()
        done_at = turn_of(runtime, "daily").last_run_at
        go_on.set()
        thread.join()
        assert len(names) == 2
        turn = turn_of(runtime, "daily")
        assert (turn.last_run_at, turn.failures, turn.held_by) == (done_at, 0, None)
        with runtime.unit_of_work() as session:
            sequence_events(session)
            assert len(read_events(session, 0, names=[NAME])) == 1

    def test_a_turn_that_could_not_be_given_back_is_free_again(self, runtime, worker_of):
        """The database was away when the job ended: the worker goes on, and does not keep what it has not in hand."""
        runs = []
        worker = worker_of(Job(name="daily", every_s=60, run=lambda session: runs.append(1)))
        worker.run_once()
        let_time_pass(runtime, held_by=worker.name, held_until=utc_now() + timedelta(seconds=0.5))
        worker._signed_at = float("-inf")
        worker._give_sign()
        time.sleep(0.6)
        worker.run_once()
        assert len(runs) == 2

    def test_one_that_takes_its_worker_with_it_pauses_longer_each_time(self, runtime, worker_of):
        """Out of memory, for instance; the worker that comes next has others to look after."""
        runs = []
        worker = worker_of(Job(name="daily", every_s=60, run=lambda session: runs.append(1)))
        worker.run_once()
        for failures, pause_s in ((1, 1), (2, 2), (3, 4)):
            let_time_pass(runtime, held_by="dead", held_until=utc_now() - timedelta(seconds=1))
            worker._signed_at = float("-inf")
            worker._give_sign()
            turn = turn_of(runtime, "daily")
            assert (turn.failures, turn.last_error) == (failures, "its worker dead gave no sign of life")
            assert turn.held_by is None
            assert pause_s - 1 < (turn.next_at - utc_now()).total_seconds() <= pause_s
        worker.run_once()
        assert len(runs) == 1

    @pytest.mark.parametrize("engine_name", ["postgresql"])
    def test_a_machine_whose_clock_is_wrong_takes_nothing_and_does_nothing_twice(self, runtime, worker_of, monkeypatch):
        """All go by the database's clock."""
        runs, inside, go_on = [], threading.Event(), threading.Event()

        def run(session):
            runs.append(1)
            inside.set()
            assert go_on.wait(20)

        thread = threading.Thread(target=worker_of(Job(name="daily", every_s=60, run=run)).run_once)
        thread.start()
        assert inside.wait(10)

        class Ahead(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + timedelta(hours=1)

        with monkeypatch.context() as patch:
            patch.setattr("tillhook.db.types.datetime", Ahead)
            Worker(runtime).run_once()
            go_on.set()
            thread.join()
            Worker(runtime).run_once()
        assert len(runs) == 1
        assert turn_of(runtime, "daily").next_at < utc_now() + timedelta(seconds=61)

    @pytest.mark.parametrize("values", [{}, {"failures": 3}, {"held_by": "dead", "held_until": True}])
    def test_what_was_entered_while_the_clock_was_wrong_does_not_last(self, runtime, worker_of, values):
        runs = []
        worker = worker_of(Job(name="daily", every_s=86_400, run=lambda session: runs.append(1)))
        worker.run_once()
        wrong = utc_now() + timedelta(days=40)
        let_time_pass(runtime, **(values | ({"held_until": wrong} if "held_until" in values else {"next_at": wrong})))
        worker.run_once()
        assert len(runs) == 2


NOBODY = {"state": "none", "last_seen_s": None, "alive": 0, "late_jobs": {}}


class TestSignsOfLife:
    """Readiness tells how the worker is, and stays about the database."""

    def test_without_a_worker_it_says_none(self, client):
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json["worker"]) == (200, NOBODY)

    def test_a_worker_is_seen_while_it_runs(self, runtime, worker_of, client):
        seen = threading.Event()
        worker = worker_of(Job(name="often", every_s=1, run=lambda session: seen.set()))
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert seen.wait(10)
        assert client.get("/readyz").json["worker"]["state"] == "alive"
        worker.stop()
        thread.join()
        assert client.get("/readyz").json["worker"]["state"] == "none"

    def test_one_that_died_is_late_and_refuses_nobody(self, runtime, client):
        with runtime.unit_of_work() as session:
            session.add(WorkerSign(name="dead", seen_at=utc_now() - timedelta(minutes=5)))
        with runtime.unit_of_work(write=False) as session:
            assert worker_state(session)["last_seen_s"] >= 300
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json["status"], answer.json["worker"]["state"]) == (200, "ready", "late")

    @pytest.mark.parametrize("days", [-40, 40])
    def test_a_sign_of_a_clock_that_was_wrong_is_none(self, runtime, worker_of, client, days):
        with runtime.unit_of_work() as session:
            session.add(WorkerSign(name="dead", seen_at=utc_now() + timedelta(days=days)))
        assert client.get("/readyz").json["worker"]["state"] == "late"
        worker = worker_of()
        worker._give_sign()
        with runtime.unit_of_work(write=False) as session:
            assert session.scalars(select(WorkerSign.name)).all() == [worker.name]

    def test_a_job_that_hangs_or_waits_is_told(self, runtime, worker_of, client):
        """Until it is done, somebody has its turn, or nobody."""
        worker = worker_of(Job(name="a", every_s=60, run=print), Job(name="b", every_s=60, run=print))
        worker.run_once()
        assert client.get("/readyz").json["worker"]["late_jobs"] == {}
        with runtime.unit_of_work() as session:
            session.execute(update(JobTurn).where(JobTurn.name == "b").values(next_at=utc_now() - timedelta(minutes=5)))
        assert 300 <= client.get("/readyz").json["worker"]["late_jobs"].pop("b") < 330
        assert 'tillhook_job_late_seconds{job="a"} 0.0' in client.get("/metrics").text

    def test_several_workers_are_counted(self, runtime, client):
        with runtime.unit_of_work() as session:
            for name, minutes in {"one": 0, "two": 0, "dead": 5}.items():
                session.add(WorkerSign(name=name, seen_at=utc_now() - timedelta(minutes=minutes)))
        state = client.get("/readyz").json["worker"]
        assert (state["state"], state["alive"]) == ("alive", 2)
        assert "tillhook_workers_alive 2.0" in client.get("/metrics").text

    def test_what_waits_is_measured(self, runtime, worker_of, client):
        worker_of(Job(name="bad", every_s=60, run=lambda session: 1 / 0)).run_once()
        with runtime.unit_of_work() as session:
            session.add(WorkerSign(name="dead", seen_at=utc_now() - timedelta(minutes=5)))
        text = client.get("/metrics").text
        assert 'tillhook_job_failures{job="bad"} 1.0' in text
        assert "tillhook_worker_seen_seconds " in text
