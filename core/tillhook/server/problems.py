"""Every error as ``application/problem+json`` (RFC 9457), with a stable ``code`` and the request's id."""

import re
from collections.abc import Mapping
from typing import Any

import falcon
import structlog
from falcon import Request, Response
from falcon.util import code_to_http_status
from marshmallow import ValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tillhook.db import OutcomeUnknown, is_lock_timeout, is_read_only, is_retryable, is_unavailable
from tillhook.errors import Conflict, DatabaseUnavailable, DomainError, Unauthenticated
from tillhook.http import validation_failed
from tillhook.http.media import dump_json

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_S = 1
_TITLES = {
    400: "Bad request",
    404: "Not found",
    405: "Method not allowed",
    413: "Body too large",
    415: "Unsupported media type",
    500: "Internal server error",
    503: "Service unavailable",
}
_DETAILS = {
    404: "There is nothing at this address.",
    500: "Something went wrong here. The log has the details under this request id.",
    503: "The database cannot be reached or is too busy. Nothing was changed; try again.",
}
_READ_ONLY = "The database takes no changes at present, it can only be read. Nothing was changed; try again later."
_BUSY = "Somebody else has what this changes, or it took too long. Nothing was changed; try again."
_UNKNOWN = "The database was lost while this was being saved: the outcome is unknown."
_AGAIN = "Send it again with the same id; it is done once."
_LOOK = "Look whether it was done before you send it again."
#: What is wrong with SQLite's disk, by the beginning of its error's name; the transaction has been undone.
_DISK = {
    "SQLITE_FULL": ("database-full", "The database's disk is full. Nothing was changed; try again when it has room."),
    "SQLITE_IOERR": ("service-unavailable", "The database's disk fails. Nothing was changed; try again."),
    "SQLITE_CANTOPEN": (
        "service-unavailable",
        "The database's file cannot be opened. Nothing was changed; try again.",
    ),
}
#: What a race between two clients may leave to the database to refuse: SQLSTATE, and SQLite's names.
_TAKEN = {"23505", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_CONSTRAINT_PRIMARYKEY"}
_GONE = {"23503", "SQLITE_CONSTRAINT_FOREIGNKEY"}

log = structlog.get_logger("tillhook.http")


def install(app: "falcon.App[Any, Any]") -> None:
    """Make ``app`` answer every error with a problem document."""
    app.add_error_handler(Exception, _unexpected)
    app.add_error_handler(DBAPIError, _database_error)
    app.add_error_handler(OutcomeUnknown, _outcome_unknown)
    app.add_error_handler(DatabaseUnavailable, _unusable)
    app.add_error_handler(PoolTimeout, _unavailable)
    app.add_error_handler(falcon.HTTPError, _falcon_error)
    app.add_error_handler(ValidationError, _invalid)
    app.add_error_handler(DomainError, _domain_error)


def write(
    request: Request,
    response: Response,
    body: dict[str, Any],
    headers: Mapping[str, str] | None = None,
) -> None:
    """Write a problem document; adds which request it was."""
    body["instance"] = request.path
    body["request_id"] = request.context.get("request_id", "")
    response.status = code_to_http_status(body["status"])
    response.content_type = CONTENT_TYPE
    response.text = None
    response.stream = None
    response.data = dump_json(body)
    for name, value in (headers or {}).items():
        response.set_header(name, value)


def plain(status: int, *, code: str | None = None, title: str = "", detail: str = "") -> dict[str, Any]:
    """Return the members of a problem that is no ``DomainError``."""
    title = title or _TITLES.get(status, "Error")
    code = code or re.sub(r"[^a-z0-9]+", "-", title.lower())
    return {
        "type": f"urn:tillhook:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": detail or _DETAILS.get(status, title + "."),
    }


def _domain_error(request: Request, response: Response, error: DomainError, _params: Any) -> None:
    headers = {}
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    elif "retry_after_s" in error.extra:
        headers["Retry-After"] = str(error.extra["retry_after_s"])
    write(request, response, error.problem(), headers)


def _invalid(request: Request, response: Response, error: ValidationError, _params: Any) -> None:
    write(request, response, validation_failed(error).problem())


def _falcon_error(request: Request, response: Response, error: falcon.HTTPError, _params: Any) -> None:
    title = _TITLES.get(error.status_code) or error.title or "Error"
    body = plain(error.status_code, title=title, detail=error.description or "")
    headers = error.headers or {}
    write(request, response, body, dict(headers))


def _database_error(request: Request, response: Response, error: DBAPIError, params: Any) -> None:
    reason = str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "sqlite_errorname", ""))
    if isinstance(error, IntegrityError) and reason in _TAKEN | _GONE:
        log.warning("integrity", request_id=request.context.get("request_id"), reason=reason)
        taken = "Somebody else has just saved the same."
        gone = "Something that it refers to is not there, or something refers to it."
        _domain_error(request, response, Conflict(taken if reason in _TAKEN else gone), params)
    elif is_retryable(error) or (is_unavailable(error) and not _is_our_bug(error, reason)):
        _unavailable(request, response, error, params)
    else:
        _unexpected(request, response, error, params)


def _is_our_bug(error: DBAPIError, reason: str) -> bool:
    # SQLite calls a missing table or a wrong statement "operational", like a locked database.
    return isinstance(error, OperationalError) and reason == "SQLITE_ERROR"


def _unavailable(request: Request, response: Response, error: Exception, _params: Any) -> None:
    reason = str(error).partition("\n")[0]
    log.error("database unavailable", request_id=request.context.get("request_id"), reason=reason)
    if is_read_only(error):
        body = plain(503, code="database-read-only", detail=_READ_ONLY)
    elif is_lock_timeout(error):
        body = plain(503, code="database-busy", detail=_BUSY)
    else:
        name = getattr(getattr(error, "orig", None), "sqlite_errorname", "")
        known = next((said for beginning, said in _DISK.items() if name.startswith(beginning)), None)
        body = plain(503, code=known[0], detail=known[1]) if known else plain(503)
    write(request, response, body, {"Retry-After": str(RETRY_AFTER_S)})


def _outcome_unknown(request: Request, response: Response, error: OutcomeUnknown, _params: Any) -> None:
    """Say that nobody knows; only what is done once, however often it is sent, is to be sent again unseen."""
    reason = str(error.__cause__).partition("\n")[0]
    log.error("outcome unknown", request_id=request.context.get("request_id"), reason=reason)
    body = plain(503, code="outcome-unknown", detail=f"{_UNKNOWN} {_AGAIN if error.has_id else _LOOK}")
    write(request, response, body, {"Retry-After": str(RETRY_AFTER_S)} if error.has_id else {})


def _unusable(request: Request, response: Response, error: DatabaseUnavailable, _params: Any) -> None:
    reason = str(error.__cause__ or error)
    log.warning(error.code, request_id=request.context.get("request_id"), reason=reason)
    body = plain(503, code=error.code, detail=error.detail)
    write(request, response, body, {"Retry-After": str(error.retry_after_s)})


def _unexpected(request: Request, response: Response, error: Exception, _params: Any) -> None:
    log.error(
        "unexpected error",
        request_id=request.context.get("request_id"),
        method=request.method,
        route=request.uri_template,
        exc_info=error,
    )
    write(request, response, plain(500))
