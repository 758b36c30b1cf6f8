"""What a handler gets, and what it may answer with when a JSON value is not enough."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from tillhook.errors import ValidationFailed

if TYPE_CHECKING:
    import falcon
    from sqlalchemy.orm import Session

    from tillhook.actor import Actor
    from tillhook.reference import Snapshot
    from tillhook.runtime import Runtime


@dataclass(slots=True)
class Upload:
    """A file that came with a request; ``stream`` stands at its beginning."""

    filename: str
    content_type: str
    stream: "SpooledTemporaryFile[bytes]"


@dataclass(slots=True)
class Preparation:
    """One request before its transaction, for a route's ``prepare``."""

    actor: "Actor"
    runtime: "Runtime"
    body: Any
    query: Any
    request_id: str
    files: Mapping[str, Upload]
    #: Ends the request with the answer that is kept under its ``Idempotency-Key``; returns when there is none.
    replay: "Callable[[Session], None]"

    def upload(self, name: str = "file") -> Upload:
        """Return an uploaded file as :meth:`Call.upload` does."""
        return _file(self.files, name)


@dataclass(slots=True)
class Call:
    """One request, in its transaction.

    Handlers and services flush ``session`` and never commit it. A handler may run more than once for one
    request, each time with a new ``Call``, when its transaction meets a concurrent one.
    """

    session: "Session"
    actor: "Actor"
    runtime: "Runtime"
    snapshot: "Snapshot"
    request: "falcon.Request"
    body: Any = None
    query: Any = None
    request_id: str = ""
    files: Mapping[str, Upload] = field(default_factory=dict)
    #: What the route's ``prepare`` returned.
    prepared: Any = None

    def upload(self, name: str = "file") -> Upload:
        """Return the uploaded file of the form field ``name``.

        Raises:
            ValidationFailed: The form has no such file (422, the field named).
        """
        return _file(self.files, name)


def _file(files: Mapping[str, Upload], name: str) -> Upload:
    file = files.get(name)
    if file is None:
        raise ValidationFailed.at(name, "A file is needed.")
    file.stream.seek(0)
    return file


@dataclass(slots=True, kw_only=True)
class Reply:
    """An answer that needs more than a JSON value.

    Args:
        media: A JSON value.
        status: The route's status when left out.
        data: Instead of ``media``: the body, or pieces of it that are sent as they come. They are made after
            the transaction has ended, so they must not read from the session.
        content_type: Of ``data``.
    """

    media: Any = None
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None
    data: bytes | Iterable[bytes] | None = None
