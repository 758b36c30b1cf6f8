"""Lines of the log: written by a thread, never waited for, bounded, and counted when they are dropped."""

import contextlib
import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tillhook.server import logs, metrics
from tillhook.server.logs import Spool


def dropped():
    numbers = dict(metrics._process.read())
    return numbers.get((metrics.LOG_DROPPED.name,), [0.0])[0]


@pytest.fixture
def pipe():
    """A pipe of 64 KB: where to read, where to write."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError as error:
            assert error.errno == errno.EBADF


def finish(spool):
    spool.flush(time.monotonic() + 5)
    assert not spool._waiting


def test_lines_come_in_order(pipe):
    reading, writing = pipe
    spool = Spool(writing)
    lines = [b"%d\n" % number for number in range(1000)]
    for line in lines:
        spool.put(line)
    finish(spool)
    assert os.read(reading, 1 << 16) == b"".join(lines)


def test_a_stuck_reader_holds_up_nobody_and_is_told_what_it_missed(pipe, monkeypatch):
    monkeypatch.setattr(logs, "_MAX_WAITING", 50_000)
    reading, writing = pipe
    os.set_blocking(reading, False)
    spool, before = Spool(writing), dropped()
    began = time.monotonic()
    for number in range(3000):
        spool.put(b'{"number": %d, "text": "%s"}\n' % (number, b"x" * 100))
    assert time.monotonic() - began < 1
    missed = dropped() - before
    assert missed > 1000
    assert spool._waiting <= 50_000
    text, deadline = b"", time.monotonic() + 10
    while (spool._waiting or b"log_lines_dropped" not in text) and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            text += os.read(reading, 1 << 16)
    # All is written, and some of it may be in the pipe yet.
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(reading, 1 << 16):
            text += piece
    [told] = [line for line in text.splitlines() if b"log_lines_dropped" in line]
    assert json.loads(told)["lines"] == missed
    written = [json.loads(line) for line in text.splitlines() if b"number" in line]
    assert len(written) + missed == 3000


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_costs_lines_only():
    with Path("/dev/full").open("wb", buffering=0) as disk:
        spool, before = Spool(disk.fileno()), dropped()
        for _ in range(10):
            spool.put(b"lost\n")
        finish(spool)
    assert dropped() - before == 10


def test_a_reader_that_is_gone_costs_lines_only(pipe):
    reading, writing = pipe
    os.close(reading)
    spool, before = Spool(writing), dropped()
    spool.put(b"lost\n")
    finish(spool)
    assert dropped() - before == 1


def test_what_was_torn_off_stays_a_line_of_its_own(pipe, monkeypatch):
    reading, writing = pipe
    write, room = os.write, [5]

    def write_while_there_is_room(fd, text):
        if not room[0]:
            raise OSError(errno.ENOSPC, "no space")
        size = write(fd, bytes(text)[: room[0]])
        room[0] -= size
        return size

    spool = Spool(writing)
    monkeypatch.setattr(logs.os, "write", write_while_there_is_room)
    spool.put(b'{"number": 1}\n')
    finish(spool)
    room[0] = 1000
    spool.put(b'{"number": 2}\n')
    finish(spool)
    assert os.read(reading, 1000).splitlines() == [
        b'{"num',
        b'{"number": 2}',
        b'{"event":"log_lines_dropped","level":"warning","lines":1}',
    ]


def run(script, **options):
    """Run a script that has ``logs`` and ``log``, its log at level info."""
    head = "import os, sys, structlog\nfrom tillhook.server import logs\nlogs.configure('info')\nlogs.divert_output()\n"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-c", f"{head}log = structlog.get_logger()\n{script}"]
    return subprocess.run(command, env=environment, timeout=20, check=True, **options)


def test_a_short_process_loses_nothing_and_a_forked_one_writes_its_own():
    script = (
        "for number in range(500): log.info('line', number=number)\n"
        "if not os.fork(): log.info('forked'); sys.exit()\n"
        "os.wait(); print('printed'); print('wrong', file=sys.stderr); log.debug('too low')"
    )
    done = run(script, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert lines.count("printed") == 1
    told = [json.loads(line) for line in lines if line != "printed"]
    assert [each["number"] for each in told if each["event"] == "line"] == list(range(500))
    assert [each["event"] for each in told if each["event"] != "line"] == ["forked"]
    assert done.stderr == "wrong\n"


def test_a_stuck_reader_does_not_keep_a_process_from_ending(pipe):
    _, writing = pipe
    os.set_blocking(writing, False)
    try:
        while os.write(writing, b"x" * 4096):
            pass
    except BlockingIOError:
        os.set_blocking(writing, True)
    began = time.monotonic()
    run("log.info('stuck'); print('stuck', file=sys.stderr)", stdout=writing, stderr=writing)
    assert 2 < time.monotonic() - began < 10


def test_a_closed_descriptor_is_nobody_elses_file(tmp_path):
    """What is opened next gets its number."""
    script = (
        "import structlog, sys\nfrom tillhook.server import logs\n"
        f"file = open({str(tmp_path / 'precious')!r}, 'w')\nfile.write('kept')\nfile.flush()\n"
        "logs.configure('info')\nlogs.divert_output()\nstructlog.get_logger().info('lost')\n"
        "print('lost')\nprint('lost', file=sys.stderr)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run(["sh", "-c", 'exec "$@" 1>&- 2>&-', "sh", sys.executable, "-c", script], env=environment, check=True)
    assert (tmp_path / "precious").read_text() == "kept"


def test_what_cannot_be_written_or_is_too_long_is_cut_and_fails_nobody():
    script = """
class Bad:
    def __repr__(self): raise RuntimeError("bad")
log.info("path", path="/" + "x" * 8000, route="/short")
try:
    raise ValueError("begin" + "x" * 1_000_000 + "end")
except ValueError:
    log.exception("long")
log.info("surrogate", path="\\udce4")
log.info("bad", value=Bad(), request_id="abcdefgh")
log.info("wide", value=["x" * 900] * 100)
log.info("deep", value=eval("[" * 90 + "]" * 90))
log.info("object", value=object)
print("y" * 100_000)
"""
    lines = run(script, capture_output=True, text=True).stdout.splitlines()
    assert max(map(len, lines)) < 40_000
    path, long, surrogate, bad, wide, deep, plain = map(json.loads, lines[:7])
    assert (path["path"][-17:], path["route"]) == ("[8001 characters]", "/short")
    assert "ValueError: begin" in long["exception"]
    assert long["exception"].endswith("xend")
    assert len(long["exception"]) < 17_000
    assert surrogate["path"] == "\udce4"
    assert (bad["event"], bad["request_id"], bad["left_out"]) == ("bad", "abcdefgh", "RuntimeError")
    assert wide["left_out"].endswith(" bytes")
    assert deep["event"] == "deep"
    assert plain["value"] == "<class 'object'>"
    assert lines[7].endswith("y [cut]")
