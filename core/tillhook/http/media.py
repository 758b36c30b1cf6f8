"""Bodies as bytes, JSON out, exactly, and ``multipart/form-data``."""

import re
import tempfile
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import IO, Any
from uuid import UUID

import falcon

from tillhook.db import format_instant
from tillhook.encoding import to_json
from tillhook.errors import DomainError
from tillhook.http.call import Upload
from tillhook.http.parsing import BadBody

JSON = "application/json"
_TYPE = re.compile(r"application/([a-z0-9.!#$&^_-]+\+)?json\s*(;\s*charset=\"?utf-?8\"?\s*)?", re.I | re.A)
_MAX_FIELD = 64 * 1024
#: Uploaded files up to this many bytes stay in memory.
_SPOOL = 1024 * 1024


class BodyTooLarge(DomainError):
    """The body is over the route's limit (413)."""

    status = 413
    code = "body-too-large"
    title = "Body too large"


class LengthRequired(DomainError):
    """A form that comes in chunks, its length unsaid (411)."""

    status = 411
    code = "length-required"
    title = "Length required"


class UnsupportedMediaType(DomainError):
    """The content type is not taken here (415)."""

    status = 415
    code = "unsupported-media-type"
    title = "Unsupported media type"


def read_body(request: falcon.Request, limit: int) -> bytes:
    """Return the whole body, whether it has a length or comes in chunks.

    Raises:
        DomainError: 413 for more than ``limit`` bytes, 400 when the client stopped half-way.
    """
    length = request.content_length
    if length is None:
        if not _is_chunked(request):
            return b""
        raw = request.env["wsgi.input"].read(limit + 1)
    else:
        if length > limit:
            raise _too_large(limit)
        raw = request.env["wsgi.input"].read(length) if length else b""
        if len(raw) != length:
            raise BadBody("The body is shorter than its Content-Length.")
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def _is_chunked(request: falcon.Request) -> bool:
    return "chunked" in request.env.get("HTTP_TRANSFER_ENCODING", "").lower()


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body is over the limit of {limit} bytes.", limit=limit)


def check_json_type(content_type: str | None) -> None:
    """Refuse a body that does not say that it is JSON, with 415.

    A form of another site may post ``text/plain`` without asking; it may not post JSON.
    """
    if content_type != JSON and not _TYPE.fullmatch(content_type or ""):
        raise UnsupportedMediaType("The Content-Type must be application/json, in UTF-8.")


def _other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dump_json(value: Any) -> bytes:
    """Return JSON in UTF-8: a ``Decimal`` as a text with the digits it has, an instant as RFC 3339 in UTC."""
    return to_json(value, _other)


def read_form(request: falcon.Request, limit: int) -> tuple[dict[str, str], dict[str, Upload]]:
    """Return the fields and the files of a ``multipart/form-data`` body, files kept on disk when large.

    Raises:
        DomainError: 411 without a length, 413 over ``limit`` bytes in all, 415 for another content type, 400 for a
            broken form.
    """
    if not (request.content_type or "").lower().startswith("multipart/form-data"):
        raise UnsupportedMediaType("The Content-Type must be multipart/form-data.")
    if request.content_length is None and _is_chunked(request):
        raise LengthRequired("A form must come with its Content-Length.")
    if not request.content_length:
        raise BadBody("The form is empty.")
    if request.content_length > limit:
        raise _too_large(limit)
    fields: dict[str, str] = {}
    files: dict[str, Upload] = {}
    try:
        _read_parts(request, limit, fields, files)
    except BaseException:
        for file in files.values():
            file.stream.close()
        raise
    return fields, files


def _read_parts(request: falcon.Request, limit: int, fields: dict[str, str], files: dict[str, Upload]) -> None:
    left = limit
    try:
        for part in request.get_media():
            name = part.name or ""
            if not name or name in fields or name in files:
                raise BadBody("A part of the form has no name, or another part's.")
            if part.filename is None:
                raw = part.stream.read(min(left, _MAX_FIELD) + 1)
                left -= len(raw)
                if len(raw) > _MAX_FIELD or left < 0:
                    raise _too_large(limit)
                fields[name] = _form_text(raw)
            else:
                stream, size = _spool(part.stream, left, limit)
                left -= size
                files[name] = Upload(part.filename, part.content_type, stream)
    except falcon.HTTPError as error:
        raise BadBody(f"The form cannot be read: {error.description or error.title}") from None


def _form_text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise BadBody("A field of the form is not UTF-8.") from None
    if "\x00" in text:
        raise BadBody("A text holds a NUL.")
    return text


def _spool(source: IO[bytes], left: int, limit: int) -> tuple["tempfile.SpooledTemporaryFile[bytes]", int]:
    target = tempfile.SpooledTemporaryFile(max_size=_SPOOL)  # noqa: SIM115 - the request's end closes it
    size = 0
    try:
        while piece := source.read(64 * 1024):
            size += len(piece)
            if size > left:
                raise _too_large(limit)
            target.write(piece)
    except BaseException:
        target.close()
        raise
    target.seek(0)
    return target, size
