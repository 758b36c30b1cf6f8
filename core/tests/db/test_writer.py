"""SQLite's writer lock: bounded waits, first come first served, between threads and processes."""

import contextlib
import os
import queue
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from tillhook.db import Database, DatabaseBusy, is_unavailable, retrying, wait_in_line
from tillhook.db.filelock import FileLock, Turns
from tillhook.db.writer import WriterLock
from tillhook.errors import DatabaseUnavailable

# As the lock does it, and without the time that importing takes.
_HOLD = """
import fcntl, os, sys, time
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print(os.getpid(), time.monotonic(), file=file, flush=True)
print("held", flush=True)
sys.stdin.readline()
"""
_TABLE = "CREATE TABLE counted (id INTEGER PRIMARY KEY, number INTEGER, padding TEXT)"


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "books.writer")


@pytest.fixture
def holder(path):
    """Another process that has the lock, until it reads a line."""
    with _process(_HOLD, path) as process:
        assert process.stdout.readline() == "held\n"
        yield process


@pytest.fixture
def database(tmp_path):
    """With a table of one row; waits 0.2 s."""
    database = Database(f"sqlite:///{tmp_path}/books", lock_timeout_s=0.2)
    with database.unit_of_work() as session:
        session.execute(text(_TABLE))
        session.execute(text("INSERT INTO counted VALUES (1, 1, '')"))
    yield database
    database.dispose()


@contextlib.contextmanager
def _process(program, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", program, *arguments]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_stopped_process_is_waited_for_as_long_as_one_is_ready_to(path, holder):
    holder.send_signal(signal.SIGSTOP)
    lock = WriterLock(path, 0.1)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(DatabaseBusy) as caught:
            lock.acquire(0.1)
        assert time.monotonic() - began < 2
        assert f"Process {holder.pid} has been writing for" in caught.value.detail
        assert is_unavailable(caught.value)
    assert lock.holder().pid == holder.pid
    holder.send_signal(signal.SIGCONT)
    holder.stdin.write("\n")
    holder.stdin.close()
    lock.acquire(10)
    assert lock.holder().pid == os.getpid()
    lock.release()
    assert lock.holder() is None


def test_the_lock_of_a_process_that_is_killed_goes_to_who_waits(path, holder):
    lock = WriterLock(path, 10)
    got = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: (lock.acquire(10), got.put(lock.writing()), lock.release()))
    thread.start()
    holder.kill()
    assert got.get(timeout=10).thread == thread.ident
    thread.join()


def test_what_nobody_waits_for_any_more_is_given_back(path, holder):
    lock = WriterLock(path, 0.05)
    with pytest.raises(DatabaseBusy):
        lock.acquire(0.05)
    holder.stdin.write("\n")
    holder.stdin.close()
    with WriterLock(path, 10):
        pass
    with lock:
        pass


def test_threads_come_in_their_order(path):
    lock = WriterLock(path, 10)
    order = []

    def take(number):
        with lock:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(20)]
    with lock:
        for count, thread in enumerate(threads, start=1):
            thread.start()
            _until(lambda count=count: len(lock._waiting) == count)
    for thread in threads:
        thread.join()
    assert order == list(range(20))


def test_two_processes_that_want_it_all_the_time_both_get_it(path):
    """One has eight threads, this one one: it has its turn after a slice and no later than the threads' number."""
    program = """
import sys, threading, time
from tillhook.db.writer import WriterLock
lock = WriterLock(sys.argv[1], 10)
def run():
    while True:
        with lock:
            time.sleep(0.001)
for _ in range(8):
    threading.Thread(target=run, daemon=True).start()
print("begun", flush=True)
sys.stdin.readline()
"""
    with _process(program, path) as process:
        assert process.stdout.readline() == "begun\n"
        lock = WriterLock(path, 10)
        waits = []
        for _ in range(40):
            began = time.monotonic()
            with lock:
                waits.append(time.monotonic() - began)
        # The others' slice is 5 ms.
        assert sorted(waits)[20] < 0.05
        assert max(waits) < 2


def test_many_threads_exclude_each_other(path):
    locks = [WriterLock(path, 30) for _ in range(3)]
    inside, most = [], []

    def run(lock):
        for _ in range(30):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=run, args=(lock,)) for lock in locks for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 360
    assert max(most) == 1


def test_a_thread_that_would_wait_for_itself_is_told(path):
    lock = WriterLock(path, 10)
    with lock, pytest.raises(RuntimeError, match="within another one"):
        lock.acquire(10)
    with lock:
        pass


def test_an_interrupt_while_waiting_leaves_the_queue_whole(path, monkeypatch):
    lock = WriterLock(path, 10)
    waiting = threading.Thread(target=lambda: lock.acquire(10) or lock.release())
    with lock:
        waiting.start()
        _until(lambda: lock._waiting)

        def interrupted(place, _timeout_s):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("tillhook.db.filelock._Place.wait", interrupted)
            thread = threading.Thread(target=_swallow, args=(lambda: lock.acquire(10),))
            thread.start()
            thread.join()
        assert len(lock._waiting) == 1
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_child_of_a_fork_has_nothing_of_its_parents_lock(path):
    program = """
import os, sys
from tillhook.db.writer import WriterLock
lock = WriterLock(sys.argv[1], 0.1)
lock.acquire(1)
child = os.fork()
if not child:
    try:
        lock.acquire(0.1)
    except Exception as error:
        print(type(error).__name__, flush=True)
    sys.stdin.readline()  # outlives its parent
    os._exit(0)
sys.stdin.readline()
"""
    with _process(program, path) as process:
        assert process.stdout.readline() == "DatabaseBusy\n"
        process.kill()
        with WriterLock(path, 10):
            pass
        process.stdin.close()


def test_a_turn_that_does_not_come_is_given_up(path):
    turns = Turns(0.1, lambda: None)
    raised = queue.SimpleQueue()
    with turns as left_s:
        assert left_s == 0.1
        thread = threading.Thread(target=_swallow, args=(turns.__enter__, raised))
        thread.start()
        thread.join(10)
    assert isinstance(raised.get(timeout=1), DatabaseBusy)
    with turns:
        pass


def test_the_time_of_waiting_for_a_turn_counts(path):
    turns = Turns(10, lambda: None)
    left = queue.SimpleQueue()

    def run():
        with turns as left_s:
            left.put(left_s)

    thread = threading.Thread(target=run)
    with turns:
        thread.start()
        _until(lambda: turns._waiting)
        time.sleep(0.05)
    assert left.get(timeout=10) < 9.96
    thread.join()


def test_readers_wait_for_nobody(database):
    with _process(_HOLD, str(database.path) + ".writer") as holder:
        assert holder.stdout.readline() == "held\n"
        holder.send_signal(signal.SIGSTOP)
        with database.unit_of_work(write=False) as session:
            assert session.scalar(text("SELECT number FROM counted")) == 1
        with database.unit_of_work(lazy=True) as session:
            assert session.scalar(text("SELECT number FROM counted")) == 1
        other = Database(database.address, lock_timeout_s=0.2)  # a process that has just begun
        with other.unit_of_work(write=False) as session:
            assert session.scalar(text("SELECT number FROM counted")) == 1
        other.dispose()


@pytest.mark.parametrize("lazy", [True, False])
def test_a_writer_gives_up_once(database, lazy):
    """And not nine times: who runs the transaction again would wait again."""
    attempts = []

    def run():
        attempts.append(1)
        with database.unit_of_work(lazy=lazy) as session:
            session.execute(text("UPDATE counted SET number = 2"))

    with _process(_HOLD, str(database.path) + ".writer") as holder:
        assert holder.stdout.readline() == "held\n"
        assert database.writer().pid == holder.pid
        with pytest.raises(DatabaseBusy):
            retrying(run)
    assert len(attempts) == 1
    run()
    # The porter, who came too late, may be giving it back just now.
    assert getattr(database.writer(), "pid", os.getpid()) == os.getpid()


def test_a_batch_waits_longer(database, monkeypatch):
    monkeypatch.setattr("tillhook.db.dialects._PATIENCE_S", 10.0)
    with _process(_HOLD, str(database.path) + ".writer") as holder:
        assert holder.stdout.readline() == "held\n"
        threading.Timer(0.4, lambda: holder.stdin.close()).start()
        with database.unit_of_work(lazy=True) as session:
            wait_in_line(session.connection())
            session.execute(text("UPDATE counted SET number = 2"))
        with database.unit_of_work(lazy=True) as session:
            assert session.connection().info.keys() >= {"tillhook_write_later"}
            assert "tillhook_patience" not in session.connection().info


def test_another_program_that_writes_is_waited_for_as_long(database):
    other = sqlite3.connect(database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for lazy in (True, False):
        with pytest.raises(DatabaseBusy), database.unit_of_work(lazy=lazy) as session:
            session.execute(text("UPDATE counted SET number = 2"))
    other.execute("ROLLBACK")
    other.close()
    with database.unit_of_work() as session:
        session.execute(text("UPDATE counted SET number = 2"))


def test_a_lock_file_that_cannot_be_opened_is_told_to_all_who_wait(tmp_path):
    lock = FileLock(str(tmp_path / "missing" / "file"), 1)
    with pytest.raises(DatabaseUnavailable, match="Nothing was changed"):
        lock.acquire(1)
    lock._path = str(tmp_path / "file")
    with lock:
        pass


def test_the_log_is_cut_after_a_long_reader(tmp_path, monkeypatch):
    monkeypatch.setattr("tillhook.db.sqlite.LARGEST_LOG", 100_000)
    database = Database(f"sqlite:///{tmp_path}/books")
    with database.unit_of_work() as session:
        session.execute(text(_TABLE))
    log = tmp_path / "books-wal"
    write = text("INSERT INTO counted (number, padding) VALUES (1, :padding)")
    with database.unit_of_work(write=False) as reading:
        reading.execute(text("SELECT COUNT(*) FROM counted"))
        for _ in range(10):
            with database.unit_of_work() as session:
                session.execute(write, {"padding": "x" * 1_000_000})
        assert log.stat().st_size > 10_000_000
    for _ in range(3):
        with database.unit_of_work() as session:
            session.execute(write, {"padding": ""})
    assert log.stat().st_size <= 100_000
    database.dispose()


def test_the_log_is_emptied_although_somebody_always_reads(tmp_path, monkeypatch):
    """SQLite alone would begin it anew only when nobody reads."""
    monkeypatch.setattr("tillhook.db.writer.LARGEST_LOG", 1_000_000)
    monkeypatch.setattr("tillhook.db.writer._LOOK_AFTER", 10)
    database = Database(f"sqlite:///{tmp_path}/books")
    with database.unit_of_work() as session:
        session.execute(text(_TABLE))
    stop = threading.Event()

    def read():
        with contextlib.ExitStack() as last:
            while not stop.is_set():
                following = contextlib.ExitStack()
                session = following.enter_context(database.unit_of_work(write=False))
                session.execute(text("SELECT COUNT(*) FROM counted"))
                last.close()  # only now, so that one of the two always reads
                last = following
                stop.wait(0.005)
            last.close()

    reader = threading.Thread(target=read)
    reader.start()
    sizes = []
    for _ in range(60):
        with database.unit_of_work() as session:
            session.execute(
                text("INSERT INTO counted (number, padding) VALUES (1, :padding)"), {"padding": "x" * 100_000}
            )
        sizes.append((tmp_path / "books-wal").stat().st_size)
    stop.set()
    reader.join()
    assert max(sizes) < 4_000_000
    assert database.writer() is None
    with database.unit_of_work(write=False) as session:
        assert session.scalar(text("SELECT COUNT(*) FROM counted")) == 60
    database.dispose()


_HANG = """
import sys, time
from sqlalchemy import text
from tillhook.db import Database
database = Database(sys.argv[1])
database.watch_writers(lambda: print("slow", flush=True), slow_s=0.1, idle_s=0.3, poll_s=0.05)
with database.unit_of_work() as session:
    for _ in range(10):
        time.sleep(0.05)
        session.execute(text("UPDATE counted SET number = number + 1"))
print("written", flush=True)
try:
    with database.unit_of_work() as session:
        session.execute(text("UPDATE counted SET number = 99"))
        endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT MAX(i) FROM n"
        session.scalar(text(endless))
except Exception as error:
    print(error.orig, flush=True)
with database.unit_of_work() as session:
    session.execute(text("UPDATE counted SET number = 77"))
    sys.stdin.readline()
"""


def test_who_hangs_with_the_lock_is_ended_and_who_goes_on_writing_is_not(database):
    with _process(_HANG, database.address) as process:
        assert process.wait(30) == -signal.SIGKILL
        out = process.stdout.read()
    # Half a second of writing; a statement without an end, which is interrupted; a transaction that waits for ever.
    said = [line for line in out.splitlines() if line in ("slow", "written", "interrupted")]
    assert said == ["slow", "written", "slow", "interrupted", "slow"]
    assert out.count("writer_slow") == 3 and out.count("writer_hangs") == 1
    assert 'File "<string>", line' in out  # where it hangs
    with database.unit_of_work() as session:
        assert session.scalar(text("SELECT number FROM counted")) == 11


# It is suspended while it has the lock, and needs some time more.
_SLEEP = """
import sys, time
from sqlalchemy import text
from tillhook.db import Database
database = Database(sys.argv[1])
database.watch_writers(lambda: None, slow_s=9, idle_s=1.5, poll_s=0.05)
with database.unit_of_work() as session:
    session.execute(text("UPDATE counted SET number = 5"))
    time.sleep(0.2)  # seen by the watchdog
    print("held", flush=True)
    for _ in range(10):
        time.sleep(0.05)
"""


def test_who_was_suspended_with_the_lock_goes_on(database):
    """A machine that sleeps, a container that is frozen: that time is nobody's."""
    with _process(_SLEEP, database.address) as process:
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(1.8)
        process.send_signal(signal.SIGCONT)
        assert process.wait(30) == 0
    with database.unit_of_work() as session:
        assert session.scalar(text("SELECT number FROM counted")) == 5


_LONG = """
import sys
from sqlalchemy import text
from tillhook.db import Database, without_limits
database = Database(sys.argv[1])
database.watch_writers(lambda: None, slow_s=9, idle_s=0.2, poll_s=0.05)
count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT MAX(i) FROM n"
with database.unit_of_work(lazy=True) as session:
    without_limits(session.connection())
    session.execute(text(f"UPDATE counted SET number = ({count})"))
"""


def test_who_may_take_as_long_as_it_takes_is_not_ended(database):
    """Totals made anew by the worker: at a million sales one statement may take a minute."""
    with _process(_LONG, database.address) as process:
        assert process.wait(30) == 0
    with database.unit_of_work() as session:
        assert session.scalar(text("SELECT number FROM counted")) == 3_000_000


def test_a_full_disk_changes_nothing(database):
    """By SQLite's own limit of pages; ``tests/faults`` has a real one."""
    with pytest.raises(OperationalError, match="full"), database.unit_of_work() as session:
        pages = session.scalar(text("PRAGMA page_count"))
        session.execute(text(f"PRAGMA max_page_count = {pages}"))
        session.execute(text("UPDATE counted SET number = 2"))
        session.execute(text("INSERT INTO counted VALUES (2, 2, :padding)"), {"padding": "x" * 100_000})
    with database.unit_of_work(write=False) as session:
        assert session.execute(text("SELECT id, number FROM counted")).all() == [(1, 1)]


def _until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _swallow(function, raised=None):
    try:
        function()
    except BaseException as error:
        if raised is not None:
            raised.put(error)
