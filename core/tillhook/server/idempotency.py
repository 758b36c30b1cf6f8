"""``Idempotency-Key``: the answer of what writes is given again instead of doing it again.

Kept are answers of success (2xx), for a day, in the transaction of their effect. A 4xx changed nothing: one
that depends on the body alone comes out the same again by itself, and one that depends on the state (goods
are short, a name is taken) is worth another try under the same key. A 5xx is never kept.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import falcon
from sqlalchemy import Table, delete, insert, select, text
from sqlalchemy.orm import Session

from tillhook.db import utc_now, without_limits
from tillhook.errors import Conflict, DomainError, ValidationFailed
from tillhook.hooks.declarations import Route
from tillhook.http.call import Reply
from tillhook.http.media import JSON, dump_json
from tillhook.server import metrics
from tillhook.server.models import IdempotencyKey

if TYPE_CHECKING:
    from tillhook.actor import Actor

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LIFETIME = timedelta(hours=24)
_ENVIRON = "HTTP_IDEMPOTENCY_KEY"
_MAX_LENGTH = 255
_TABLE = cast(Table, IdempotencyKey.__table__)


class KeyInUse(Conflict):
    """The first request with this key is still in flight (409)."""

    code = "idempotency-in-flight"


class KeyReused(DomainError):
    """The key came before, with another request (422)."""

    status = 422
    code = "idempotency-key-reused"
    title = "Idempotency key reused"


@dataclass(frozen=True, slots=True)
class Key:
    """The header's value and a digest of the request that it stands for."""

    value: str
    request: str

    def digest(self, actor: "Actor") -> bytes:
        """Return what the key is kept under, different for each actor."""
        owner = f"key {actor.api_key_id}" if actor.api_key_id is not None else f"user {actor.user_id}"
        return hashlib.sha256(f"{owner}\n{self.value}".encode()).digest()


def read_key(request: falcon.Request, route: Route, parameters: Mapping[str, Any], raw: bytes) -> Key | None:
    """Return the request's key, ``None`` without the header.

    Raises:
        ValidationFailed: It is empty, longer than 255 characters or not printable ASCII (422).
    """
    value = request.env.get(_ENVIRON)
    if value is None:
        return None
    if not 0 < len(value) <= _MAX_LENGTH or not value.isascii() or not value.isprintable():
        raise ValidationFailed.at(HEADER, "1 to 255 printable ASCII characters are needed.")
    what = f"{route.method} {route.path} {sorted(parameters.items())} {request.query_string}\n"
    return Key(value, hashlib.sha256(what.encode() + raw).hexdigest())


def refuse_key(request: falcon.Request) -> None:
    """Refuse the header where it would do nothing: who sends it relies on it.

    Raises:
        ValidationFailed: It is there (422 ``idempotency-key-not-taken``).
    """
    if _ENVIRON in request.env:
        message = "This route takes none: it writes nothing, tells known documents by themselves, or answers a secret."
        raise ValidationFailed.at(HEADER, message, code="idempotency-key-not-taken")


def find(session: Session, actor: "Actor", key: Key) -> Reply | None:
    """Return the kept answer; without one, claim the key until the transaction ends.

    On SQLite writers stand in line, so the second request comes when the first has ended.

    Raises:
        KeyInUse: The first request has not ended (409).
        KeyReused: The kept answer is another request's (422).
    """
    digest = key.digest(actor)
    if session.get_bind().dialect.name == "postgresql":
        claim = text("SELECT pg_try_advisory_xact_lock(:number)")
        number = int.from_bytes(digest[:8], signed=True)
        if not session.execute(claim, {"number": number}).scalar_one():
            raise KeyInUse("The first request with this Idempotency-Key has not ended.")
    # A statement of its own: it must see what the lock's last holder has committed.
    row = _row(session, digest)
    if row is not None and _is_old(row):
        session.execute(delete(_TABLE).where(_TABLE.c.key == row.key))
        return None
    return None if row is None else _kept(row, key)


def look(session: Session, actor: "Actor", key: Key) -> Reply | None:
    """Return the kept answer as :func:`find` does; reads only, and claims nothing."""
    row = _row(session, key.digest(actor))
    return None if row is None or _is_old(row) else _kept(row, key)


def _row(session: Session, digest: bytes) -> Any:
    return session.execute(select(_TABLE).where(_TABLE.c.key == digest.hex())).one_or_none()


def _is_old(row: Any) -> bool:
    return bool(row.created_at < utc_now() - LIFETIME)


def _kept(row: Any, key: Key) -> Reply:
    if row.request != key.request:
        raise KeyReused("This Idempotency-Key came before with another request.")
    metrics.REPLAYS.inc()
    headers = {**row.headers, REPLAYED: "true"}
    content_type = headers.pop("Content-Type", None)
    data = bytes(row.body) if content_type else None
    return Reply(status=row.status, headers=headers, content_type=content_type, data=data)


def keep(session: Session, actor: "Actor", key: Key, reply: Reply) -> None:
    """Keep the answer of success; pieces that were to be streamed become one body."""
    status = reply.status or 200
    if not 200 <= status < 300:
        return
    headers = dict(reply.headers)
    body = b""
    if reply.data is not None:
        reply.data = body = reply.data if isinstance(reply.data, bytes) else b"".join(reply.data)
        headers["Content-Type"] = reply.content_type or "application/octet-stream"
    elif status != 204:
        body = dump_json(reply.media)
        headers["Content-Type"] = reply.content_type or JSON
    row = {"key": key.digest(actor).hex(), "request": key.request, "status": status}
    session.execute(insert(_TABLE).values(**row, headers=headers, body=body))


def purge(session: Session) -> None:
    """Delete the answers that are older than a day; after long without a worker, many."""
    without_limits(session.connection())
    session.execute(delete(_TABLE).where(_TABLE.c.created_at < utc_now() - LIFETIME))
