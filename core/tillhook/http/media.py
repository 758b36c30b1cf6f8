"""JSON in, strictly, and JSON out, exactly; and ``multipart/form-data``."""

import json
import re
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from typing import IO, Any, NoReturn
from uuid import UUID

import falcon

from tillhook.db import format_instant
from tillhook.encoding import to_json
from tillhook.errors import DomainError, ValidationFailed
from tillhook.http.call import Upload
from tillhook.http.problems import LONGEST_PATH

JSON = "application/json"
_TYPE = re.compile(r"application/([a-z0-9.!#$&^_-]+\+)?json\s*(;\s*charset=\"?utf-?8\"?\s*)?", re.I | re.A)
_HARMFUL = re.compile("[\x00\ud800-\udfff]")
_MAX_NUMBER = 400
_MAX_FIELD = 64 * 1024
#: Uploaded files up to this many bytes stay in memory.
_SPOOL = 1024 * 1024


class BadBody(DomainError):
    """The body is not what its content type says (400)."""

    code = "malformed-body"
    title = "Malformed body"


class UnusableBody(ValidationFailed):
    """The body is JSON, and says what nothing can be made of (422)."""

    code = "unusable-body"


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


def parse_json(raw: bytes) -> Any:
    """Return the value of a JSON text: fractions as ``Decimal``, nothing that a database would choke on.

    Raises:
        BadBody: 400: not UTF-8, not JSON, NaN or Infinity.
        UnusableBody: 422: a key twice, nested too deep, a NUL or half a surrogate pair in a text, a number of absurd
            length.
    """
    try:
        value = _decode(raw.decode())
    except UnicodeDecodeError:
        raise BadBody("The body is not UTF-8.") from None
    except RecursionError:
        raise _unusable("It is nested too deep.") from None
    except ValueError as error:
        raise BadBody(f"The body is not valid JSON: {error}") from None
    if b"\\u0000" in raw or b"\\ud" in raw or b"\\uD" in raw:
        _check_texts(value)
    return value


def _unusable(message: str, field: str = "body") -> UnusableBody:
    return UnusableBody(f"{field}: {message}", errors=[{"field": field, "message": message}])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        times = Counter(key for key, _ in pairs)
        double = next(key for key, count in times.items() if count > 1)
        raise _unusable(f"The key {double[:40]!r} is there twice.")
    return result


def _fraction(text: str) -> Decimal:
    if len(text) <= _MAX_NUMBER:
        with suppress(InvalidOperation):
            value = Decimal(text)
            # Few characters may stand for many: 1e9999999.
            if abs(value.adjusted()) <= _MAX_NUMBER:
                return value
    raise _unusable("A number is too long.")


def _whole(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise _unusable("A number is too long.")
    return int(text)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_fraction, parse_int=_whole, parse_constant=_constant
).decode


#: Where in a body something is: what it is in, and its name there.
_Place = tuple[Any, object] | None


def _check_texts(value: Any) -> None:
    waiting: list[tuple[_Place, Any]] = [(None, value)]
    while waiting:
        place, each = waiting.pop()
        if isinstance(each, str):
            if _HARMFUL.search(each):
                raise _unusable("Holds a NUL or half a surrogate pair.", _path(place) or "body")
        elif isinstance(each, dict):
            waiting += (((place, name), member) for name, member in each.items())
            # Looked at before the members, whose path they become.
            waiting += ((place, name) for name in each)
        elif isinstance(each, list):
            waiting += (((place, number), member) for number, member in enumerate(each))


def _path(place: _Place) -> str:
    # Put together only when it is told: a path per member would cost what a long key weighs, times the members.
    names = []
    while place is not None:
        place, name = place
        names.append(str(name))
    return ".".join(reversed(names))[:LONGEST_PATH]


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
