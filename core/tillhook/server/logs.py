"""JSON lines on standard output, written by a thread of their own: who logs waits for nobody and fails at nothing.

A line goes into a queue. When standard output is stuck, full or gone, what no longer fits there, and what cannot be
written, is dropped and counted: in the metrics, and in a line ``log_lines_dropped`` as soon as lines are written again.
A process that is killed takes the last few milliseconds of its lines with it.
"""

import atexit
import io
import json
import logging
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from tillhook.encoding import to_json
from tillhook.server import metrics

#: Bytes that wait to be written, and what a line takes beside its text.
_MAX_WAITING = 4 << 20
_OVERHEAD = 100
_MAX_LINE = 32 << 10
#: Of a line longer than the first: characters of a text in it, and of a traceback.
_LONG_LINE = 2 << 10
_MAX_TEXT, _MAX_TRACEBACK = 1000, 16_000
#: Several processes write to one pipe, which takes so much at once, whole or not at all (POSIX asks for 512 bytes).
_AT_ONCE = 4096
#: Seconds for which lines gather before they are written, and which the end of the process waits for them.
_GATHER_S = 0.01
_LAST_S = 2.0


_QUOTED = re.compile(r": b?['\"].*", re.DOTALL)


class Spool:
    """Lines on their way to a file descriptor; one object serves the forked processes, each with a thread of its own.

    Args:
        fd: ``None`` when there is none: it was closed when the process began, and may be another file's by now.
    """

    def __init__(self, fd: int | None) -> None:
        self.fd = fd
        self._begin()
        # What waits is the parent's to write.
        os.register_at_fork(after_in_child=self._begin)

    def _begin(self) -> None:
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        # A handler of a signal may log while its thread has the lock.
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._dropped = 0
        self._is_torn = False

    def put(self, text: bytes) -> None:
        """Have ``text`` written, or count it as dropped; returns at once."""
        if len(text) > _MAX_LINE:
            text = text[:_MAX_LINE] + b" [cut]\n"
        size = len(text) + _OVERHEAD
        with self._lock:
            if self.fd is None or self._waiting + size > _MAX_WAITING or not self._has_thread():
                self._drop(1)
                return
            self._waiting += size
        self._lines.put(text)

    def flush(self, until: float) -> None:
        """Wait until everything is written, at most until this time of the monotonic clock."""
        while self._waiting and time.monotonic() < until:
            time.sleep(0.002)

    def _has_thread(self) -> bool:
        if self._thread is None:
            thread = threading.Thread(target=self._write_lines, name="logs", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no more threads, or the interpreter has come to its end
                return False
            self._thread = thread
        return True

    def _drop(self, lines: int) -> None:
        with self._lock:
            self._dropped += lines
        metrics.LOG_DROPPED.inc(by=lines)

    def _write_lines(self) -> None:
        lines, line = self._lines, None
        while True:
            if line is None:
                line = lines.get()
                time.sleep(_GATHER_S)
            batch, count, line = [line], 1, None
            size = len(batch[0])
            while line is None and not lines.empty():
                line = lines.get()
                if size + len(line) <= _AT_ONCE:
                    batch.append(line)
                    size, count, line = size + len(line), count + 1, None
            self._write_batch(b"".join(batch), count)
            with self._lock:
                self._waiting -= size + count * _OVERHEAD

    def _write_batch(self, text: bytes, lines: int) -> None:
        try:
            self._write(text)
        except OSError:
            self._drop(lines)
            return
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        if dropped:
            try:
                self._write(_line({"event": "log_lines_dropped", "level": "warning", "lines": dropped}))
            except OSError:
                with self._lock:
                    self._dropped += dropped

    def _write(self, text: bytes) -> None:
        assert self.fd is not None
        # What a full disk tore off stays a line of its own.
        left = memoryview(b"\n" + text if self._is_torn else text)
        while left:
            try:
                written = os.write(self.fd, left)
            except BlockingIOError:
                # Somebody made the pipe non-blocking, and it is full.
                time.sleep(0.05)
                continue
            self._is_torn = written < len(left)
            left = left[written:]


class _Stream(io.TextIOBase):
    """What a process prints, by way of a spool."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    def write(self, text: str) -> int:
        piece = text.encode(self.encoding, self.errors)
        if piece:
            self._spool.put(piece)
        return len(text)

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._spool.fd is not None and os.isatty(self._spool.fd)

    def fileno(self) -> int:
        return super().fileno() if self._spool.fd is None else self._spool.fd


class _Lines:
    """What structlog writes with."""

    def __init__(self, spool: Spool) -> None:
        self.debug = self.info = self.warning = self.error = self.critical = spool.put


_spools: dict[int, Spool] = {}


def configure(level: str, *, fd: int = 1) -> None:
    """Log JSON, one object a line, from ``level`` (``debug`` … ``error``) on; for the start of a process.

    Args:
        fd: Where to: standard output, or 2, standard error.
    """
    lines = _Lines(_spool(fd))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _rendered,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )


def divert_output() -> None:
    """Have all that this process prints go the lines' way; for one that serves.

    The server's own log, Python's warnings, and what a plugin prints: a standard error that nobody reads would else
    stop the master, and with it its care for the others.
    """
    old = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_Stream(_spool(fd)) for fd in (1, 2))
    for name in (None, *logging.root.manager.loggerDict):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in old:
                handler.setStream(sys.stdout if handler.stream is old[0] else sys.stderr)
    logging.getLogger("gunicorn.error").addFilter(_leave_out_what_was_sent)


def _leave_out_what_was_sent(record: logging.LogRecord) -> bool:
    """Cut the line that the server could not make sense of: it may be a token without its colon."""
    if isinstance(record.msg, str) and record.msg.startswith("Invalid request from"):
        record.msg = _QUOTED.sub("", record.msg)
    return True


def _spool(fd: int) -> Spool:
    if not _spools:
        atexit.register(flush)
    if fd not in _spools:
        stream = sys.__stdout__ if fd == 1 else sys.__stderr__
        _spools[fd] = Spool(None if stream is None else fd)
    return _spools[fd]


def flush() -> None:
    """Wait until all lines are written, at most two seconds; for who ends the process by ``os._exit``."""
    until = time.monotonic() + _LAST_S
    for spool in _spools.values():
        spool.flush(until)


def _rendered(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> bytes:
    try:
        line = _line(event)
        if len(line) > _LONG_LINE:
            line = _line({name: _shortened(name, value) for name, value in event.items()})
        if len(line) <= _MAX_LINE:
            return line
        reason = f"{len(line)} bytes"
    except Exception as error:  # whatever the text of a value raises
        reason = type(error).__name__
    kept = {
        name: str(event[name])[:_MAX_TEXT] for name in ("event", "level", "timestamp", "request_id") if name in event
    }
    return json.dumps({**kept, "left_out": reason}).encode() + b"\n"


def _line(event: Mapping[str, Any]) -> bytes:
    try:
        return to_json(event, repr) + b"\n"
    except UnicodeEncodeError:  # half of a pair of surrogates
        return json.dumps(event, default=repr).encode() + b"\n"


def _shortened(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if name == "exception" and len(value) > _MAX_TRACEBACK:
        # Where it came from is at the beginning, what it was at the end.
        half = _MAX_TRACEBACK // 2
        return f"{value[:half]}\n[{len(value) - 2 * half} characters]\n{value[-half:]}"
    limit = _MAX_TRACEBACK if name == "exception" else _MAX_TEXT
    return value if len(value) <= limit else f"{value[:limit]} [{len(value)} characters]"
