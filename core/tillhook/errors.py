"""The errors that a client may cause, and how they reach the client.

``DomainError`` is raised by services and hooks and becomes ``application/problem+json`` (RFC 9457)::

    DomainError                 400  bad-request
    ├── ValidationFailed        422  validation-failed   (carries a list of fields)
    ├── NotFound                404  not-found
    ├── PermissionDenied        403  permission-denied
    ├── Unauthenticated         401  unauthenticated
    ├── Conflict                409  conflict
    ├── TooManyRequests         429  too-many-requests
    ├── Busy                    503  busy                (``retry_after_s``)
    └── StorageFull             507  storage-full

``StartupError`` is for the person who starts the server: a clash of plugins, a broken setting.
Services raise these and never import the web framework.
"""

import contextlib
import difflib
import errno
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any


class DomainError(Exception):
    """A request that cannot be done, said in words the client can act on.

    Args:
        detail: One sentence for a person.
        code: A stable slug for programs, ``kebab-case``; a plugin's begins with its name.
        errors: ``[{"field": "items.0.quantity", "message": "..."}]``, dotted paths into the body or the
            query.
        extra: Further members of the problem document; JSON values only.

    ``afterwards``, when somebody sets it, is called once when the request has been undone; for what is to be written
    although the answer is an error, in a transaction of its own.
    """

    status = 400
    code = "bad-request"
    title = "Bad request"
    afterwards: Callable[[], object] | None = None

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[Mapping[str, str]] = (),
        **extra: Any,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.code
        self.errors = [dict(error) for error in errors]
        self.extra = extra

    def problem(self) -> dict[str, Any]:
        """Return the members of the problem document, without ``instance`` and ``request_id``."""
        body: dict[str, Any] = {
            "type": f"urn:tillhook:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        body.update(self.extra)
        return body


class ValidationFailed(DomainError):
    """The body, the query or a path breaks a rule of its fields."""

    status = 422
    code = "validation-failed"
    title = "Validation failed"

    @classmethod
    def at(cls, field: str, message: str, *, code: str | None = None, **extra: Any) -> "ValidationFailed":
        """Return the error of one field, ``field`` a dotted path such as ``items.0.quantity``."""
        return cls(f"{field}: {message}", code=code, errors=[{"field": field, "message": message}], **extra)


class NotFound(DomainError):
    """There is no such thing, or this actor must not know of it."""

    status = 404
    code = "not-found"
    title = "Not found"


class PermissionDenied(DomainError):
    """The actor is known and may not do this."""

    status = 403
    code = "permission-denied"
    title = "Permission denied"


class Unauthenticated(DomainError):
    """No valid token or key came with the request."""

    status = 401
    code = "unauthenticated"
    title = "Authentication required"


class Conflict(DomainError):
    """The request is well formed and does not fit the present state."""

    status = 409
    code = "conflict"
    title = "Conflict"


class TooManyRequests(DomainError):
    """Asked too often; ``retry_after_s`` says how long to wait."""

    status = 429
    code = "too-many-requests"
    title = "Too many requests"


class Busy(DomainError):
    """This process has too much of the same to do; ``retry_after_s`` says how long to wait."""

    status = 503
    code = "busy"
    title = "Busy"


class StorageFull(DomainError):
    """There is no room for a file."""

    status = 507
    code = "storage-full"
    title = "Storage full"


@contextlib.contextmanager
def storing() -> Iterator[None]:
    """Tell the client of a full disk, as :class:`StorageFull`, where files are written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise StorageFull("There is no room left for files. Nothing was changed.") from error


class DatabaseUnavailable(Exception):
    """The database cannot be used just now, and nothing was changed: 503 with ``Retry-After``.

    It is no ``DomainError``: the request is right, and no part of it is to be refused for this.

    Args:
        detail: Sentences for a person.
    """

    code = "service-unavailable"
    retry_after_s = 1

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class StartupError(Exception):
    """The server refuses to start; the text says why and what to change."""


def nearest(name: str, known: Collection[str], cutoff: float = 0.6) -> str:
    """Return ``; did you mean …?`` when one of the known names is like this one, else nothing."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {found[0]}?" if found else ""


__all__ = [
    "Busy",
    "Conflict",
    "DatabaseUnavailable",
    "DomainError",
    "NotFound",
    "PermissionDenied",
    "StartupError",
    "StorageFull",
    "TooManyRequests",
    "Unauthenticated",
    "ValidationFailed",
    "nearest",
    "storing",
]
