"""gunicorn's worker with threads, where no thread waits for a client.

One loop owns all connections. It reads a request whole, gives it to a thread, and sends what the client does not take
at once; see ``docs/adr/0020``. Everything but ``_work`` and what it calls runs in the loop.
"""

import errno
import heapq
import resource
import selectors
import signal
import socket
import sys
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from enum import Enum
from functools import partial
from queue import SimpleQueue
from typing import IO, Any, ClassVar
from weakref import WeakSet

import structlog
from gunicorn.http.errors import ConfigurationProblem
from gunicorn.workers.gthread import ThreadWorker

from tillhook.http.media import dump_json
from tillhook.http.parsing import BadBody
from tillhook.server import problems
from tillhook.server.front.answer import Answer
from tillhook.server.front.incoming import Incoming
from tillhook.server.front.lanes import Lane, Lanes
from tillhook.server.front.spool import NoRoom, Room

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_PIECE = 64 * 1024
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: Machines that watch get an answer when every other thread hangs, and of the process though the database hangs.
_PROBES = {"/healthz": 0, "/readyz": 1, "/metrics": 1}
#: The largest body where the application says nothing of it.
_LARGEST = 32 * 1024 * 1024
#: Descriptors for everything that is no connection: the database's, files, pipes.
_OTHER_FILES = 256
#: TCP's own signs of life: after a minute without any, thrice every ten seconds.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 90_000}

log = structlog.get_logger("tillhook.front")


class State(Enum):
    """Where a connection is."""

    IDLE = "between requests"
    READING = "a request has begun to come"
    BUSY = "its request waits for a thread or has one"
    SENDING = "the thread is done, the client still reads"
    LEAVING = "closed by us, and what the client still sends is thrown away"


class Connection:
    """A client."""

    __slots__ = (
        *("client", "heard", "incoming", "is_gone", "is_watched", "keep", "lane", "number", "on_event", "out", "probe"),
        *("rest", "server", "since", "sock", "socket", "state", "unsent"),
    )

    on_event: Callable[[int], None]
    sock: Answer

    def __init__(self, connection: socket.socket, client: Any, server: Any) -> None:
        self.socket, self.client, self.server = connection, client, server
        self.state = State.IDLE
        self.incoming: Incoming | None = None
        #: Since when it is in its state, and when it last said or took something.
        self.since = self.heard = 0.0
        #: What it has sent behind its request.
        self.rest = b""
        self.number = 0
        self.is_gone = self.is_watched = self.keep = False
        self.lane = Lane.READS
        self.probe: int | None = None
        self.out: IO[bytes] | None = None
        self.unsent = b""


class RequestWorker(ThreadWorker):
    """A process that answers requests, and finishes what it has begun before it ends."""

    #: Seconds for a request's head; without a word of a body; before a body's rate counts, and its bytes a second.
    head_s, stall_s, grace_s, min_rate = 10.0, 10.0, 20.0, 500
    #: Seconds for a body at most: one of 16 MB that trickles would keep its room for nine hours.
    body_s = 600.0
    #: Seconds for which a client need take nothing of its answer.
    send_stall_s = 30.0
    #: Seconds for which a request waits for a thread, and how many of a kind may.
    queue_s, max_queue = 30.0, 1000
    #: Seconds for which a closed connection is read on, so that the client is not reset before it has read the answer;
    #: ``grace_s`` when it goes on sending.
    linger_s = 2.0
    #: Seconds after the order to stop for which a kept connection may bring one more request.
    stop_linger_s = 2.0
    #: Seconds between looks at all these.
    tick_s = 0.25
    max_connections = 10_000

    #: Those that live, as the master knows it, which makes them.
    _living: "ClassVar[WeakSet[RequestWorker]]" = WeakSet()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # gunicorn's own bounds; ours count differently.
        self.max_keepalived = sys.maxsize
        self.cfg.set("sendfile", False)
        self.room = Room()
        #: Which of the master's sockets is this process's own; the one that the fewest have.
        self.slot: int = min(range(len(self.sockets)), key=lambda slot: sum(each.slot == slot for each in self._living))
        self._living.add(self)
        self._accepting: bool = False
        self._idle: OrderedDict[Connection, None] = OrderedDict()
        #: All others.
        self._others: set[Connection] = set()
        self._stopping_since = 0.0
        self._next_look = 0.0
        self._queues: list[SimpleQueue[Connection]] = [SimpleQueue(), SimpleQueue(), SimpleQueue()]
        self._lanes: Lanes[Connection] = Lanes(self.cfg.threads)
        self._limit_of: Callable[[Any], int] = _any_body
        self._is_long: Callable[[str, str], bool] = lambda _method, _path: False

    @classmethod
    def check_config(cls, cfg: Any, _log: Any) -> None:
        if cfg.is_ssl:
            raise ConfigurationProblem("TLS is a proxy's task here.")

    def get_thread_pool(self) -> None:
        """Return none of gunicorn's; it would be waited for when the process ends, whatever hangs in it."""

    def init_signals(self) -> None:
        super().init_signals()
        # Ctrl-C is the master's, who then says what is to be done. Its hard way of stopping takes the pool's lock in
        # gunicorn's handler; there is no pool here, and what has begun is finished.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGQUIT, self.handle_exit)

    def run(self) -> None:
        self.worker_connections = self._raise_file_limit()
        body_limit = getattr(self.wsgi, "body_limit", None)
        if body_limit is not None:
            self._limit_of = lambda request: body_limit(request.method, request.path)
        self._is_long = getattr(self.wsgi, "is_long", self._is_long)
        for listener in self.sockets:
            listener.setblocking(False)
            _set_keepalive(listener)
        self.poller.register(self.method_queue.fileno(), READ, self.method_queue.run_callbacks)
        for number, queue in enumerate(self._queues):
            for _ in range(self.cfg.threads if number == 2 else 1):
                threading.Thread(target=self._work, args=(queue,), daemon=True).start()
        self.set_accept_enabled(True)
        # The first sign of life says that requests are answered: a reload ends the old processes then.
        self.notify()
        while self.alive:
            self._turn()
            if not self.is_parent_alive():
                break
        self._stop()

    def _raise_file_limit(self) -> int:
        """Return how many connections there may be."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.max_connections + _OTHER_FILES
        if soft < wanted:
            soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        return max(min(self.max_connections, soft - _OTHER_FILES), self.cfg.threads)

    def _turn(self) -> None:
        for key, mask in self.poller.select(self.tick_s):
            try:
                key.data(mask)
            except Exception:
                self.log.exception("error at a connection")
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + self.tick_s
            self.notify()
            self._look_at_times(now)

    def _stop(self) -> None:
        """Answer what has been connected, then end.

        Who is in the queue of the kernel when nobody else listens would be reset.
        """
        self.alive = False
        self._stopping_since = time.monotonic()
        self.set_accept_enabled(False)
        for listener in self.sockets:
            while self._accept(listener):
                pass
            listener.close()
        for connection in self._others:
            # Said in the answer's head, unless that is written already.
            if connection.state is State.BUSY and connection.incoming is not None:
                connection.incoming.request.force_close()
        self.tick_s = min(self.tick_s, 0.1)
        while self.nr_conns and time.monotonic() < self._stopping_since + self.cfg.graceful_timeout:
            self._turn()
        for connection in [*self._idle, *self._others]:
            self._close(connection)
        self.poller.close()
        self.method_queue.close()

    # Coming and going.

    def set_accept_enabled(self, enabled: bool) -> None:
        if enabled is self._accepting:
            return
        own = self.sockets[self.slot]
        if enabled:
            self.poller.register(own, READ, partial(self._accept, own))
        else:
            self.poller.unregister(own)
        self._accepting = enabled

    def _accept_others(self) -> None:
        """Take who waits for a process that is not there, or does nothing; nobody is closed to find out."""
        for listener in self.sockets:
            while self._has_room() and listener is not self.sockets[self.slot] and self._accept(listener):
                pass

    def _has_room(self) -> bool:
        return self._accepting and self.nr_conns < self.worker_connections

    def _accept(self, listener: Any, _mask: int = READ) -> bool:
        """Take one client; false when there is none, or no room."""
        if self.nr_conns >= self.worker_connections and not self._make_room():
            self.set_accept_enabled(False)
            return False
        try:
            accepted, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM) and not self._make_room():
                self.set_accept_enabled(False)
            return False
        accepted.setblocking(False)
        connection = Connection(accepted, client, listener.getsockname())
        connection.on_event = partial(self._on_event, connection)
        self.nr_conns += 1
        self._rest(connection)
        return True

    def _make_room(self) -> bool:
        """Close the connection that has been idle for longest; one that has just spoken is none.

        When none is idle, those whose requests have been coming for longest: many at once, for it takes a look at all.
        """
        before = self.nr_conns
        while self._idle and self.nr_conns == before:
            self._close_if_idle(next(iter(self._idle)))
        if self.nr_conns == before:
            slow = [each for each in self._others if each.state is State.READING]
            for connection in heapq.nsmallest(len(slow) // 64 + 1, slow, key=lambda each: each.since):
                self._close(connection)
        return self.nr_conns < before

    def _close_if_idle(self, connection: Connection) -> None:
        self._read(connection)
        if connection in self._idle:
            self._close(connection)

    def _rest(self, connection: Connection) -> None:
        connection.state = State.IDLE
        connection.since = time.monotonic()
        self._others.discard(connection)
        self._idle[connection] = None
        self._watch(connection, READ)

    def _watch(self, connection: Connection, events: int) -> None:
        if not connection.is_watched:
            self.poller.register(connection.socket, events, connection.on_event)
            connection.is_watched = True
        elif events == WRITE:
            self.poller.modify(connection.socket, events, connection.on_event)

    def _unwatch(self, connection: Connection) -> None:
        if connection.is_watched:
            self.poller.unregister(connection.socket)
            connection.is_watched = False

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        connection.socket.close()
        self._let_go(connection)
        self._idle.pop(connection, None)
        self._others.discard(connection)
        self.nr_conns -= 1

    def _let_go(self, connection: Connection) -> None:
        """Free what the request and its answer hold."""
        if connection.incoming is not None:
            connection.incoming.close()
            connection.incoming = None
            answer = getattr(connection, "sock", None)
            if answer is not None and answer.rest is not None:
                answer.rest.close()
                answer.rest = None
        connection.out = None

    def _leave(self, connection: Connection) -> None:
        """Close, once the client has had the time to read what it was told."""
        if connection.is_gone:
            self._close(connection)
            return
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
            return
        self._let_go(connection)
        connection.state = State.LEAVING
        connection.since = connection.heard = time.monotonic()
        self._idle.pop(connection, None)
        self._others.add(connection)
        self._unwatch(connection)
        self._watch(connection, READ)

    # Reading.

    def _on_event(self, connection: Connection, _mask: int) -> None:
        state = connection.state
        if state is State.IDLE or state is State.READING:
            self._read(connection)
        elif state is State.BUSY:
            self._look(connection)
        elif state is State.SENDING:
            self._send(connection)
        else:
            self._throw_away(connection)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        if data:
            self._take(connection, data)
        elif connection.incoming is not None and connection.incoming.request is not None:
            self._refuse(connection, BadBody("The body ends too early.").problem())
        else:
            self._close(connection)

    def _take(self, connection: Connection, data: bytes) -> None:
        incoming = connection.incoming
        if incoming is None:
            connection.number += 1
            incoming = Incoming(self.cfg, connection.client, connection.number, self.room, self._limit_of)
            connection.incoming = incoming
        if self.room.is_tight:
            self._make_space(connection)
        try:
            whole = incoming.feed(data)
        except NoRoom:
            self._refuse(connection, problems.plain(503, detail=_FULL))
        except Exception as error:
            self._malformed(connection, incoming, error)
        else:
            if whole:
                self._submit(connection, incoming)
            else:
                self._go_on(connection, incoming)

    def _make_space(self, but: Connection) -> None:
        """Give up the large body that has been coming for longest, so that small ones always find room."""
        large = [each for each in self._others if each.state is State.READING and each is not but]
        large = [each for each in large if each.incoming is not None and each.incoming.received > _PIECE]
        if large:
            self._refuse(min(large, key=lambda each: each.since), problems.plain(503, detail=_FULL))

    def _go_on(self, connection: Connection, incoming: Incoming) -> None:
        connection.heard = time.monotonic()
        if connection.state is State.IDLE:
            connection.state = State.READING
            connection.since = connection.heard
            del self._idle[connection]
            self._others.add(connection)
            self._watch(connection, READ)
        if incoming.wants_continue:
            incoming.wants_continue = False
            self._tell(connection, b"HTTP/1.1 100 Continue\r\n\r\n")

    def _malformed(self, connection: Connection, incoming: Incoming, error: Exception) -> None:
        if incoming.request is not None:
            self._refuse(connection, BadBody("The body's chunks are malformed.").problem())
            return
        self.handle_error(None, connection.socket, connection.client, error)
        self._leave(connection)

    def _refuse(self, connection: Connection, problem: dict[str, Any]) -> None:
        """Answer without the application, and close."""
        request = connection.incoming.request if connection.incoming is not None else None
        problem |= {"instance": request.path if request is not None else "", "request_id": uuid.uuid4().hex}
        log.info("refused", status=problem["status"], request_id=problem["request_id"], remote=_address(connection))
        body = dump_json(problem)
        head = [
            f"HTTP/1.1 {problem['status']} {problem['title']}",
            f"Content-Type: {problems.CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            f"X-Request-ID: {problem['request_id']}",
            "Connection: close",
        ]
        if problem["status"] == 503:
            head.append(f"Retry-After: {problems.RETRY_AFTER_S}")
        if request is not None and request.method == "HEAD":
            body = b""
        self._tell(connection, "\r\n".join([*head, "", ""]).encode() + body)
        self._leave(connection)

    def _tell(self, connection: Connection, text: bytes) -> None:
        try:
            connection.socket.send(text)
        except OSError:
            connection.is_gone = True

    def _look(self, connection: Connection) -> None:
        """See what a client does while its request is answered: it may send the next one, or be gone."""
        try:
            said = connection.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said:
            self._unwatch(connection)
        elif connection.probe is None and self._lanes.leave(connection, connection.lane):
            self._close(connection)
        else:
            connection.is_gone = True
            self._unwatch(connection)

    def _throw_away(self, connection: Connection) -> None:
        try:
            if connection.socket.recv(_PIECE):
                connection.heard = time.monotonic()
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._close(connection)

    # Answering.

    def _submit(self, connection: Connection, incoming: Incoming) -> None:
        request = incoming.request
        connection.rest = incoming.rest
        connection.state = State.BUSY
        connection.sock = Answer(connection.socket, self.room)
        connection.lane = self._lane_of(request)
        connection.probe = _PROBES.get(request.path)
        self._idle.pop(connection, None)
        self._others.add(connection)
        if connection.probe is not None:
            self._queues[connection.probe].put(connection)
        elif self._lanes.waiting(connection.lane) >= self.max_queue:
            self._refuse(connection, problems.plain(503, code="too-busy", detail=_BUSY))
        elif self._lanes.come(connection, connection.lane, time.monotonic()):
            self._queues[2].put(connection)

    def _lane_of(self, request: Any) -> Lane:
        if request.method in _READING:
            return Lane.READS
        return Lane.LONG if self._is_long(request.method, request.path) else Lane.WRITES

    def _work(self, queue: "SimpleQueue[Connection]") -> None:
        """A thread's life."""
        while True:
            connection: Connection | None = queue.get()
            while connection is not None:
                probe, lane = connection.probe, connection.lane
                keep = self._answer(connection)
                self.method_queue.defer(self._answered, connection, keep)
                connection = self._lanes.go(lane) if probe is None else None

    def _answer(self, connection: Connection) -> bool:
        """Answer a request, and say whether the connection is good for another."""
        assert connection.incoming is not None
        request = connection.incoming.request
        try:
            self.handle_request(request, connection)
            connection.sock.flush()
            return connection.sock.keeps
        except StopIteration:
            pass  # half an answer, logged
        except OSError as error:
            self.log.debug("the client is gone: %s", error)
        except BaseException as error:
            # A plugin's SystemExit, too, ends no more than its request.
            self.handle_error(request, connection.socket, connection.client, error)
        return False

    def _answered(self, connection: Connection, keep: bool) -> None:
        connection.keep = keep and not connection.is_gone
        rest = connection.sock.rest
        if rest is None:
            self._go_back(connection)
            return
        connection.state = State.SENDING
        connection.since = connection.heard = time.monotonic()
        connection.out = rest.opened()
        connection.unsent = b""
        self._watch(connection, WRITE)

    def _send(self, connection: Connection) -> None:
        assert connection.out is not None
        try:
            data = connection.unsent or connection.out.read(_PIECE)
            if data:
                connection.unsent = data[connection.socket.send(data) :]
                connection.heard = time.monotonic()
                return
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        self._unwatch(connection)
        self._go_back(connection)

    def _go_back(self, connection: Connection) -> None:
        """Wait for the next request, or part."""
        if not connection.keep:
            self._leave(connection)
            return
        self._let_go(connection)
        self._rest(connection)
        rest, connection.rest = connection.rest, b""
        if rest:
            self._take(connection, rest)

    # Times.

    def _look_at_times(self, now: float) -> None:
        kept = self.cfg.keepalive
        while self._idle:
            connection = next(iter(self._idle))
            is_over = self._stopping_since and now > self._stopping_since + self.stop_linger_s
            if now < connection.since + kept and not is_over:
                break
            self._close_if_idle(connection)
        for connection in [each for each in self._others if self._is_late(each, now)]:
            if connection.state is State.READING:
                self._refuse(connection, problems.plain(408, title="Request timeout", detail=_SLOW))
            else:
                self._close(connection)
        for connection in self._lanes.give_up(now - self.queue_s):
            self._refuse(connection, problems.plain(503, code="too-busy", detail=_BUSY))
        if self.alive and self.nr_conns < self.worker_connections:
            self.set_accept_enabled(True)
        self._accept_others()

    def _is_late(self, connection: Connection, now: float) -> bool:
        state = connection.state
        if state is State.READING:
            assert connection.incoming is not None
            if connection.incoming.request is None:
                return now > connection.since + self.head_s
            allowed = min(self.grace_s + connection.incoming.received / self.min_rate, self.body_s)
            return now > connection.heard + self.stall_s or now > connection.since + allowed
        if state is State.SENDING:
            return now > connection.heard + self.send_stall_s
        if state is State.LEAVING:
            return now > connection.heard + self.linger_s or now > connection.since + self.grace_s
        return False


_BUSY = "There is more to do than can be done. Nothing was changed; try again."
_FULL = "Too much is being sent here; try again."
_SLOW = "The request came too slowly."


def _any_body(_request: Any) -> int:
    return _LARGEST


def _address(connection: Connection) -> str:
    return connection.client[0] if isinstance(connection.client, tuple) else str(connection.client)


def _set_keepalive(listener: Any) -> None:
    """Have the kernel notice who is gone without a word; what is accepted here inherits it."""
    if listener.family not in (socket.AF_INET, socket.AF_INET6):
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
