"""PostgreSQL's connections: addresses as libpq takes them, limits of every wait, poolers, and servers that change.

Nothing waits for ever. Connecting takes a few seconds for each host that is named; a peer that is gone is noticed by
TCP; statements and locks have the server's limits. A server that hangs keeps none of them, so the client waits
somewhat longer than the server's limit, and then gives the connection up.

An address may lead to a pooler that gives each transaction another session (pgbouncer's transaction mode). Whether it
does, each connection finds out: the server's process is then not the one that it was told when it connected. There,
what is set for a session would be lost or meet others, so it is set with each ``BEGIN``, in the same round trip, and no
statement is prepared.
"""

import re
import time
from collections.abc import Generator, Mapping
from typing import Any

import psycopg
from psycopg import generators
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.exc import DisconnectionError

from tillhook.config import without_password

_READ_ONLY = "25006"
_SCHEME = re.compile(r"postgres(?:ql)?(?:\+psycopg)?://")
#: What libpq is told where the address says nothing else. With it, a peer that is gone is noticed in 25 seconds.
_DEFAULTS = {
    "application_name": "tillhook",
    "connect_timeout": "5",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}
#: Seconds for a request that has no connection yet; there is one for each thread, so this is rare.
_POOL_TIMEOUT_S = 10
_PROBE_S = 2


class BoundedConnection(psycopg.Connection[Any]):
    """A connection on which no statement waits for longer than it may."""

    #: What its transactions begin with, where a session's settings would not last.
    begin: bytes | None = None
    opened_at = 0.0
    #: Seconds that the server gives to a statement, where its transaction says nothing else.
    usual_limit_s: float = 0
    _patience_s: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        patience_s = self._patience_s if timeout is None else timeout
        try:
            return super().wait(gen, interval=interval, timeout=patience_s)
        except psycopg.Error as error:
            hangs = timeout is None and isinstance(error, psycopg.errors._WaitTimeout)
            if hangs:
                self.close()
            if self.closed or error.sqlstate == _READ_ONLY:
                self.lost()
            if hangs:
                raise psycopg.OperationalError(f"the server has not answered for {patience_s:.0f} s") from error
            raise

    def limit(self, statement_s: float) -> None:
        """Let the present transaction's statements take so long, as the server lets them; 0 is no limit."""
        # The server's own limit comes first, for its error says more.
        self._patience_s = statement_s * 1.1 + 1 if statement_s else None

    def lost(self) -> None:
        """Called when the server is gone, or is not the one that takes changes."""

    def _start_query(self) -> Generator[Any, Any, None]:
        # psycopg's own BEGIN is one command and no more.
        if self.pgconn.transaction_status == TransactionStatus.IDLE and not self.autocommit:
            self.limit(self.usual_limit_s)
            if self.begin is not None and self._pipeline is not None:
                for command in self.begin.split(b"; "):
                    yield from self._exec_command(command)
                yield from self._pipeline._sync_gen()
                return
            if self.begin is not None:
                self.pgconn.send_query(self.begin)
                for result in (yield from generators.execute(self.pgconn)):
                    if result.status != ExecStatus.COMMAND_OK:
                        raise psycopg.errors.error_from_result(result)
        yield from super()._start_query()


class _Servers:
    """Opens connections to one address, and tells the pool which of them are from before a failure.

    Args:
        address: What libpq is told.
        settings: Of every session.
    """

    def __init__(self, address: Mapping[str, Any], settings: Mapping[str, str], statement_timeout_s: float) -> None:
        self._address = address
        self._settings = settings
        self._statement_timeout_s = statement_timeout_s
        self._lost_at = float("-inf")

    def open(self) -> BoundedConnection:
        """Return a new connection whose sessions, or transactions, have the settings."""
        connection = BoundedConnection.connect(autocommit=True, **self._address)
        connection.opened_at = time.monotonic()
        connection.lost = self._lose  # type: ignore[method-assign]
        connection.usual_limit_s = self._statement_timeout_s
        connection.limit(self._statement_timeout_s)
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        assert row is not None
        if row[0] == connection.info.backend_pid:
            connection.execute(_assignments("SET", self._settings))
        else:
            # The level is named, for otherwise the server's default would be asked.
            local = _assignments("SET LOCAL", self._settings)
            connection.begin = b"BEGIN ISOLATION LEVEL READ COMMITTED; " + local
            connection.prepare_threshold = None
        connection.autocommit = False
        return connection

    def check(self, connection: BoundedConnection, _record: Any, _proxy: Any) -> None:
        """Refuse a connection that is older than the last failure: its server is likely to be gone as well."""
        if connection.opened_at < self._lost_at:
            raise DisconnectionError

    def _lose(self) -> None:
        self._lost_at = time.monotonic()


def make_engine(url: str, *, pool_size: int, lock_timeout_s: float, statement_timeout_s: float) -> Engine:
    """Return an engine with a pool.

    Raises:
        ValueError: libpq does not take the address; says why, without its password.
    """
    servers = _Servers(_address(url), _settings(lock_timeout_s, statement_timeout_s), statement_timeout_s)
    engine = create_engine(
        "postgresql+psycopg://",
        creator=servers.open,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine, "checkout", servers.check)
    return engine


def make_probe_engine(url: str) -> Engine:
    """Return an engine without a pool, each of whose waits lasts some two seconds at most."""
    address = {**_address(url), "connect_timeout": _PROBE_S}
    servers = _Servers(address, _settings(_PROBE_S, _PROBE_S), _PROBE_S)
    return create_engine("postgresql+psycopg://", creator=servers.open, poolclass=NullPool, hide_parameters=True)


def _address(url: str) -> dict[str, Any]:
    try:
        given = conninfo_to_dict(_SCHEME.sub("postgresql://", url, count=1))
    except psycopg.Error as error:
        # What follows is a piece of the address.
        reason = re.split(r"[:\"]", str(error), maxsplit=1)[0].strip()
        raise ValueError(
            f"TILLHOOK_DATABASE_URL: {without_password(url)} is no address of PostgreSQL ({reason})"
        ) from None
    if "," in str(given.get("host", "")) + str(given.get("hostaddr", "")):
        # Else the first one that answers would do, a standby too, and would refuse every change.
        given.setdefault("target_session_attrs", "read-write")
    return {**_DEFAULTS, **given}


def _settings(lock_timeout_s: float, statement_timeout_s: float) -> dict[str, str]:
    return {
        "lock_timeout": _duration(lock_timeout_s),
        "statement_timeout": _duration(statement_timeout_s),
        "idle_in_transaction_session_timeout": "60s",
        "timezone": "UTC",
        "jit": "off",
        # What a lock waited for must be seen by the statement after it, whatever the server's default.
        "default_transaction_isolation": "read committed",
    }


def _assignments(verb: str, settings: Mapping[str, str]) -> bytes:
    return "; ".join(f"{verb} {name} = '{value}'" for name, value in settings.items()).encode()


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms"
