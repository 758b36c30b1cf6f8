"""A request from route to answer: one transaction, run again when it meets a concurrent one.

The order: token (no database) → body's bytes → connection and epoch → actor → permission → body and query →
transaction → handler → commit. On a lazy route the epoch is read in the transaction, with what else is read. The
bytes come before the connection, so that a slow client holds none; for an upload, and for a body that will not do,
actor and permission are looked at before. What a route prepares comes before the transaction, and needs no connection.
This is the hot path: whatever depends on the route alone is worked out once, in the constructor.
"""

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import falcon
from falcon.util import code_to_http_status
from marshmallow import ValidationError
from sqlalchemy.exc import DBAPIError

from tillhook.access import load_actor
from tillhook.access.overriding import HEADER as OVERRIDE
from tillhook.access.overriding import lend, prove_override, record_override
from tillhook.actor import ANONYMOUS, Actor
from tillhook.db import GaveWay, OutcomeUnknown, is_lock_timeout, retrying
from tillhook.errors import DomainError, NotFound, Unauthenticated, ValidationFailed, storing
from tillhook.hooks.declarations import PUBLIC, Route
from tillhook.http import UnusablePart, validation_failed
from tillhook.http.call import Call, Preparation, Reply, Upload
from tillhook.http.media import JSON, check_json_type, dump_json, read_body, read_form
from tillhook.http.paging import COUNT
from tillhook.http.parsing import parse_json, parse_parts
from tillhook.runtime import OldReferenceData, assume_epoch
from tillhook.server import idempotency
from tillhook.server.tokens import TokenReader

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

    from tillhook.access import Claims
    from tillhook.access.pins import Proof
    from tillhook.reference import Snapshot
    from tillhook.runtime import Runtime

#: Characters of a path's parameter; a receipt's code is the longest.
_MAX_SEGMENT = 2000
#: Largest body of a public route that sets no other limit.
_PUBLIC_BYTES = 16 * 1024
_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OVERRIDE_ENV = "HTTP_X_OVERRIDE"
_NO_BODY = frozenset({b"", b"{}", b"null"})


class Sent:
    """What came with a request, read once whatever the number of attempts."""

    __slots__ = (
        "attempt",
        "claims",
        "files",
        "form",
        "key",
        "patience_s",
        "prepared",
        "proof",
        "raw",
        "request",
        "request_id",
        "waits",
    )

    def __init__(self, request: falcon.Request, claims: "Claims | None") -> None:
        self.request = request
        self.request_id: str = request.context.request_id
        self.claims = claims
        #: How often the transaction has begun before; the journal plans with locks after the first.
        self.attempt = 0
        self.raw = b""
        self.form: Mapping[str, str] = {}
        self.files: Mapping[str, Upload] = {}
        self.key: idempotency.Key | None = None
        #: What the route's ``prepare`` returned.
        self.prepared: Any = None
        #: Who lends rights for this request.
        self.proof: Proof | None = None
        #: Whether it has one of the places of those who wait for a lock.
        self.waits = False
        #: Seconds left to wait for SQLite's writers; the usual ones when ``None``.
        self.patience_s: float | None = None

    def content(self) -> bytes:
        """Return what tells this body from another; a form's boundary differs each time it is sent."""
        if not self.files and not self.form:
            return self.raw
        parts = [f"{name}={value}" for name, value in sorted(self.form.items())]
        for name, file in sorted(self.files.items()):
            file.stream.seek(0)
            parts.append(f"{name}:{file.filename}:{hashlib.file_digest(file.stream, 'sha256').hexdigest()}")
        return "\n".join(parts).encode()


class _Answered(Exception):
    """The request's answer is kept already."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply


class Endpoint:
    """One route, mounted: a Falcon responder."""

    def __init__(self, route: Route, runtime: "Runtime", tokens: TokenReader) -> None:
        self.route = route
        self._runtime = runtime
        self._tokens = tokens
        self._handler = route.handler
        self._is_public = route.permission is PUBLIC
        self._permission = route.permission if isinstance(route.permission, str) else None
        self._writes = bool(route.writes)
        self._lazy = route.lazy
        self._takes_body = route.method in _WRITING
        self._limit = route.max_body or self._default_limit(route)
        self._body_schema = route.body() if route.body else None
        self._query_schema = route.query() if route.query else None
        self._status = code_to_http_status(route.status)
        self._takes_override = takes_override(route)
        self._entity: str = getattr(route.answer, "audited_as", "")

    def _default_limit(self, route: Route) -> int:
        settings = self._runtime.settings
        if route.upload:
            return settings.max_upload
        # A stranger has no reason to send much.
        return min(settings.max_body, _PUBLIC_BYTES) if self._is_public else settings.max_body

    def __call__(self, request: falcon.Request, response: falcon.Response, **parameters: Any) -> None:
        _check_path(parameters)
        sent = Sent(request, self._claims(request))
        if not self.route.idempotent:
            idempotency.refuse_key(request)
        in_vain = False
        try:
            if OVERRIDE_ENV in request.env:
                sent.proof = self._proof(sent)
            if self._takes_body:
                self._read_if_allowed(sent)
                if self.route.idempotent:
                    sent.key = idempotency.read_key(request, self.route, parameters, sent.content())
            if self.route.prepare is not None:
                self._prepare(sent, parameters)
            result = retrying(lambda: self._attempt_or_give_up(sent, parameters))
        except _Answered as kept:
            result = kept.reply
        except DomainError as error:
            if error.afterwards is not None:
                error.afterwards()
            raise
        except OutcomeUnknown as error:
            error.has_id = sent.key is not None or _is_done_once(self._parsed(sent))
            raise
        except DBAPIError as error:
            in_vain = is_lock_timeout(error)
            raise
        finally:
            if sent.waits:
                self._runtime.database.waiting.leave(in_vain=in_vain)
            for file in sent.files.values():
                file.stream.close()
        self._answer(response, result)

    @property
    def body_limit(self) -> int:
        """Bytes that a body may have, 0 when none is read."""
        return self._limit if self._takes_body else 0

    @property
    def is_long(self) -> bool:
        """Whether it waits for what few may do at a time: what it prepares, or a password's hash."""
        return self.route.prepare is not None or (self._takes_body and self._is_public)

    def _claims(self, request: falcon.Request) -> "Claims | None":
        """Return what the token or key says, its signature checked; no database is asked.

        On a public route a token that is no good any more is as none at all: a log-in must not fail because
        the client still sends the old one.
        """
        try:
            claims = self._tokens.claims(request)
        except Unauthenticated:
            if self._is_public:
                return None
            raise
        if claims is None and not self._is_public:
            raise Unauthenticated("This needs a log-in: send an access token or an API key.")
        return claims

    def _read_if_allowed(self, sent: Sent) -> None:
        """Read the body; who may not come in at all is told that first, and cannot fill the disk with a file."""
        if self.route.upload:
            self._authorise(sent)
        try:
            self._read(sent)
        except DomainError:
            self._authorise(sent)
            raise

    def _proof(self, sent: Sent) -> "Proof":
        """Check the override's PIN, once, and no connection held meanwhile."""
        if not self._takes_override:
            raise ValidationFailed.at(OVERRIDE, "This route takes none.", code="override-not-taken")
        assert sent.claims is not None
        with self._runtime.database.connect() as connection:
            actor = load_actor(connection, self._runtime.snapshots.current(connection), sent.claims)
        request = sent.request
        header, address = request.env[OVERRIDE_ENV], request.context.client
        return prove_override(self._runtime, actor, header, address, sent.request_id)

    def _authorise(self, sent: Sent) -> None:
        with self._runtime.database.connect() as connection:
            self._actor(connection, self._runtime.snapshots.current(connection), sent)

    def _read(self, sent: Sent) -> None:
        request = sent.request
        if self.route.upload:
            with storing():
                sent.form, sent.files = read_form(request, self._limit)
            return
        sent.raw = read_body(request, self._limit)
        if self._body_schema is None:
            if sent.raw.strip() not in _NO_BODY:
                raise ValidationFailed.at("body", "This route takes no body.")
        elif sent.raw:
            check_json_type(request.content_type)

    def _attempt_or_give_up(self, sent: Sent, parameters: Mapping[str, Any]) -> Any:
        """Do an attempt; where many want what somebody keeps locked, some wait for it and the others are told."""
        try:
            return self._attempt(sent, parameters)
        except GaveWay as error:
            if not sent.waits and not self._runtime.database.waiting.enter():
                raise (error.__cause__ or error) from None
            sent.waits = True
            raise

    def _prepare(self, sent: Sent, parameters: Mapping[str, Any]) -> None:
        """Let the route do what needs no transaction."""
        assert self.route.prepare is not None
        database = self._runtime.database
        with database.connect() as connection:
            actor = self._actor(connection, self._runtime.snapshots.current(connection), sent)
            body, query = self._load(sent)

            def replay(session: "Session") -> None:
                kept = idempotency.look(session, actor, sent.key) if sent.key else None
                if kept is not None:
                    raise _Answered(kept)

            with database.transaction(connection, write=False) as session:
                replay(session)
        call = Preparation(actor, self._runtime, body, query, sent.request_id, sent.files, replay)
        sent.prepared = self.route.prepare(call, **parameters)

    def _attempt(self, sent: Sent, parameters: Mapping[str, Any]) -> Any:
        if not self._lazy:
            return self._run(sent, parameters)
        with self._runtime.database.turn() as sent.patience_s:
            # An answer that is kept is looked for under the lock.
            return self._run(sent, parameters, lazy=not sent.attempt and sent.key is None)

    def _run(self, sent: Sent, parameters: Mapping[str, Any], *, lazy: bool = False) -> Any:
        snapshots = self._runtime.snapshots
        with self._runtime.database.connect() as connection:
            # What plans first reads the epoch with what else it needs.
            snapshot = snapshots.latest(connection) if lazy else snapshots.current(connection)
            try:
                return self._handle(connection, snapshot, sent, parameters, lazy=lazy)
            except (OldReferenceData, DomainError) as error:
                if isinstance(error, DomainError) and not (lazy and snapshots.epoch(connection) != snapshot.epoch):
                    raise
                # A refusal, too, may be due to what has changed since. That nobody came between is no attempt.
                snapshots.forget()
                sent.attempt = 0
                raise OldReferenceData from error

    def _handle(
        self,
        connection: "Connection",
        snapshot: "Snapshot",
        sent: Sent,
        parameters: Mapping[str, Any],
        *,
        lazy: bool,
    ) -> Any:
        actor = self._actor(connection, snapshot, sent)
        body, query = self._load(sent)
        database, patience_s = self._runtime.database, sent.patience_s
        with database.transaction(connection, write=self._writes, lazy=lazy, patience_s=patience_s) as session:
            self._runtime.bind(session, snapshot, actor, sent.request_id)
            if lazy:
                assume_epoch(session)
            session.info["attempt"] = sent.attempt
            sent.attempt += 1
            call = Call(
                session,
                actor,
                self._runtime,
                snapshot,
                sent.request,
                body,
                query,
                sent.request_id,
                sent.files,
                sent.prepared,
            )
            result = self._once(session, call, sent.key, parameters) if sent.key else self._done(call, parameters)
            if lazy:
                self._runtime.confirm(session)
            return _counted(session, query, result) if query else result

    def _actor(self, connection: "Connection", snapshot: "Snapshot", sent: Sent) -> Actor:
        if sent.claims is None:
            return ANONYMOUS
        try:
            actor = load_actor(connection, snapshot, sent.claims)
        except Unauthenticated:
            if self._is_public:
                return ANONYMOUS
            raise
        if sent.proof is not None:
            actor = lend(connection, snapshot, actor, sent.proof)
        if self._permission is not None and self._permission not in actor.permissions:
            actor.require(self._permission)
        return actor

    def _load(self, sent: Sent) -> tuple[Any, Any]:
        body = query = None
        try:
            if self._query_schema is not None:
                query = self._query_schema.load(_query(sent.request))
            elif sent.request.query_string and (given := _query(sent.request)):
                raise ValidationError({name: ["Unknown field."] for name in given})
            if self._body_schema is not None:
                body = self._body_schema.load(self._parsed(sent))
        except ValidationError as error:
            raise validation_failed(error) from None
        return body, query

    def _parsed(self, sent: Sent) -> Any:
        if self.route.upload:
            return sent.form
        if not sent.raw:
            return {}
        return parse_parts(sent.raw, self.route.parts) if self.route.parts else parse_json(sent.raw)

    def _done(self, call: Call, parameters: Mapping[str, Any]) -> Any:
        """Run the handler, and write down what an override was needed for."""
        result = self._handler(call, **parameters)
        if call.actor.override is not None and self._writes:
            reply = _as_reply(result, self.route.status)
            entity_id = reply.media.get("id", "") if self._entity and isinstance(reply.media, dict) else ""
            # 200 where 201 is usual: it was there before, and nobody approved anything now.
            was_there = self.route.status == 201 and reply.status == 200
            if (reply.status or 200) < 400 and not was_there:
                request = f"{self.route.method} {call.request.path}"
                record_override(call.session, call.actor, request, self._entity or "request", entity_id)
        return result

    def _once(self, session: "Session", call: Call, key: idempotency.Key, parameters: Mapping[str, Any]) -> "Reply":
        """Run the handler unless its answer is kept already; keep the answer in the same transaction."""
        kept = idempotency.find(session, call.actor, key)
        if kept is not None:
            return kept
        reply = _as_reply(self._done(call, parameters), self.route.status)
        idempotency.keep(session, call.actor, key, reply)
        return reply

    def _answer(self, response: falcon.Response, result: Any) -> None:
        if type(result) is Reply:
            _answer_reply(response, result, self.route.status)
        elif result is None:
            response.status = falcon.HTTP_204
        else:
            response.status = self._status
            response.content_type = JSON
            response.data = dump_json(result)


def _is_done_once(body: Any) -> bool:
    """Say whether sending it again does nothing twice: by the ids of all that is in it."""
    things = body.get("sales", [body]) if isinstance(body, dict) else []
    sent = [each.value if isinstance(each, UnusablePart) else each for each in things]
    return bool(sent) and all(isinstance(each, dict) and each.get("external_id") for each in sent)


def takes_override(route: Route) -> bool:
    """Say whether a route takes ``X-Override``: those that write or try out what writes, by a permission."""
    return route.method in _WRITING and isinstance(route.permission, str)


def _counted(session: "Session", query: Any, result: Any) -> Any:
    """Return a list's answer with how many there are in all, where that was asked for."""
    if not (isinstance(query, dict) and query.get("count")):
        return result
    # A list without pages is all there is.
    return {**result, "count": session.info.get(COUNT, len(result["items"]))}


def _as_reply(result: Any, status: int) -> Reply:
    if isinstance(result, Reply):
        return result
    return Reply(status=204) if result is None else Reply(media=result, status=status)


def _answer_reply(response: falcon.Response, reply: Reply, status: int) -> None:
    response.status = code_to_http_status(reply.status or status)
    for name, value in reply.headers.items():
        response.set_header(name, value)
    if reply.status in (204, 304):
        return
    if reply.data is None:
        response.content_type = reply.content_type or JSON
        response.data = dump_json(reply.media)
        return
    response.content_type = reply.content_type or "application/octet-stream"
    if isinstance(reply.data, bytes):
        response.data = reply.data
    else:
        response.stream = iter(reply.data)


def _check_path(parameters: Mapping[str, Any]) -> None:
    # What no column can hold is found nowhere.
    for value in parameters.values():
        if isinstance(value, str) and ("\x00" in value or len(value) > _MAX_SEGMENT):
            raise NotFound("There is nothing at this address.")


def _query(request: falcon.Request) -> dict[str, str]:
    """Return the query's parameters, each as the one text it is.

    Raises:
        ValidationError: A parameter is there twice.
    """
    result = {}
    for name, value in request.params.items():
        if isinstance(value, list):
            raise ValidationError({name: ["Given more than once."]})
        result[name] = value
    return result


def actor_of(request: falcon.Request, runtime: "Runtime", tokens: TokenReader) -> Actor:
    """Return who asks, for the few addresses that are no routes; anonymous without a good token."""
    try:
        claims = tokens.claims(request)
        if claims is None:
            return ANONYMOUS
        with runtime.database.connect() as connection:
            return load_actor(connection, runtime.snapshots.current(connection), claims)
    except Unauthenticated:
        return ANONYMOUS
