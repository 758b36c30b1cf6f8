"""JSON in, strictly: nothing of it surprises a reader or a database."""

import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple, NoReturn

from tillhook.errors import DomainError, ValidationFailed
from tillhook.http.problems import LONGEST_PATH

_HARMFUL = re.compile("[\x00\ud800-\udfff]")
_HARM = "Holds a NUL or half a surrogate pair."
_LONG = "A number is too long."
_MAX_NUMBER = 400
#: Where in a body something is: what it is in, and its name there.
_Place = tuple[Any, object] | None


class BadBody(DomainError):
    """The body is not what its content type says (400)."""

    code = "malformed-body"
    title = "Malformed body"


class UnusableBody(ValidationFailed):
    """The body is JSON, and says what nothing can be made of (422)."""

    code = "unusable-body"


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


def _unusable(message: str, place: _Place = None) -> UnusableBody:
    field = _path(place) or "body"
    return UnusableBody(f"{field}: {message}", errors=[{"field": field, "message": message}])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _unusable(_twice(pairs))
    return result


def _twice(pairs: list[tuple[str, Any]]) -> str:
    times = Counter(key for key, _ in pairs)
    double = next(key for key, count in times.items() if count > 1)
    return f"The key {double[:40]!r} is there twice."


def _fraction(text: str) -> Decimal:
    if len(text) <= _MAX_NUMBER:
        with suppress(InvalidOperation):
            value = Decimal(text)
            # Few characters may stand for many: 1e9999999.
            if abs(value.adjusted()) <= _MAX_NUMBER:
                return value
    raise _unusable(_LONG)


def _whole(text: str) -> int:
    if len(text) > _MAX_NUMBER:
        raise _unusable(_LONG)
    return int(text)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_fraction, parse_int=_whole, parse_constant=_constant
).decode


def _check_texts(value: Any) -> None:
    waiting: list[tuple[_Place, Any]] = [(None, value)]
    while waiting:
        place, each = waiting.pop()
        if isinstance(each, str):
            if _HARMFUL.search(each):
                raise _unusable(_HARM, place)
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


class UnusablePart(NamedTuple):
    """An element of a list that nothing can be made of: what can be read of it, and what is wrong.

    In ``value`` each NUL and half of a surrogate pair is U+FFFD, a number of absurd length is a text, and of two
    members with one name the last is there.
    """

    value: Any
    problem: UnusableBody


def parse_parts(raw: bytes, member: str) -> Any:
    """Return what :func:`parse_json` does, but an element of the list ``member`` spoils only itself.

    Such an element is there as :class:`UnusablePart`; one that is nested too deep still spoils the whole.

    Raises:
        DomainError: As of :func:`parse_json`.
    """
    try:
        return parse_json(raw)
    except UnusableBody as error:
        with suppress(RecursionError):
            body = _decode_flawed(raw.decode())
            parts = body.pop(member, None) if isinstance(body, dict) else None
            if isinstance(parts, list) and not _mended(body, None)[1]:
                return {**body, member: [_part(each) for each in parts]}
        raise error


def _part(value: Any) -> Any:
    mended, problem = _mended(value, None)
    return mended if problem is None else UnusablePart(mended, problem)


class _Flawed(NamedTuple):
    """What the decoder met in a part, and what is wrong with it."""

    value: Any
    message: str


def _or_flawed(read: Callable[[Any], Any], otherwise: Callable[[Any], _Flawed]) -> Callable[[Any], Any]:
    def hook(given: Any) -> Any:
        try:
            return read(given)
        except UnusableBody:
            return otherwise(given)

    return hook


_decode_flawed = json.JSONDecoder(
    object_pairs_hook=_or_flawed(_object, lambda pairs: _Flawed(dict(pairs), _twice(pairs))),
    parse_float=_or_flawed(_fraction, lambda text: _Flawed(text, _LONG)),
    parse_int=_or_flawed(_whole, lambda text: _Flawed(text, _LONG)),
    parse_constant=_constant,
).decode


def _mended(value: Any, place: _Place) -> tuple[Any, UnusableBody | None]:
    """Return a copy that a database takes, and what is wrong first with what is copied."""
    problem = None
    if isinstance(value, _Flawed):
        problem = _unusable(value.message, place)
        value = value.value
    if isinstance(value, str) and _HARMFUL.search(value):
        return _HARMFUL.sub("\ufffd", value), problem or _unusable(_HARM, place)
    if isinstance(value, dict):
        members = {}
        for name, member in value.items():
            mended_name, of_name = _mended(name, place)
            members[mended_name], of_member = _mended(member, (place, name))
            problem = problem or of_name or of_member
        return members, problem
    if isinstance(value, list):
        elements = [_mended(each, (place, number)) for number, each in enumerate(value)]
        return [each for each, _ in elements], next((each for _, each in elements if each is not None), problem)
    return value, problem
