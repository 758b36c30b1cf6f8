"""The traps of JSON, numbers and bodies; each one was met in some server."""

import io
import json
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import falcon
import falcon.testing
import pytest

from tillhook.errors import DomainError
from tillhook.http import media, parsing


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": "\x00"}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',  # a surrogate in UTF-8's clothes
        b"\xef\xbb\xbf{}",
        b'{"a": 1',
        b"{'a': 1}",
        b"",
    ],
)
def test_what_is_no_json_is_400(raw: bytes) -> None:
    with pytest.raises(parsing.BadBody) as caught:
        parsing.parse_json(raw)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"a": 1, "a": 2}', "body"),
        (b'{"a": {"b": 1, "b": 2}}', "body"),
        (b'{"a": "\\u0000"}', "a"),
        (b'{"\\u0000": 1}', "body"),
        (b'{"a": {"b": "\\ud800"}}', "a.b"),
        (b'{"a": ["", "\\uDC00x"]}', "a.1"),
        (b'{"a": {"\\ud800": ["\\ud800"]}}', "a"),
        (b"[" * 100_000 + b"]" * 100_000, "body"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "body"),
        (b'{"a": ' + b"9" * 5000 + b"}", "body"),
        (b'{"a": 0.' + b"9" * 5000 + b"}", "body"),
        (b'{"a": 1e9999999}', "body"),
        (b'{"a": 1e-9999999}', "body"),
        (b'{"a": 1e9999999999999999999}', "body"),
    ],
)
def test_json_that_nothing_can_be_made_of_is_422(raw: bytes, field: str) -> None:
    with pytest.raises(parsing.UnusableBody) as caught:
        parsing.parse_json(raw)
    assert (caught.value.status, caught.value.errors[0]["field"]) == (422, field)


def test_a_fraction_is_exact() -> None:
    value = parsing.parse_json(b'{"a": 12345678901234567.891, "b": 0.1, "c": 1e2, "d": 7}')
    assert value["a"] == Decimal("12345678901234567.891")
    assert value["b"] == Decimal("0.1")
    assert isinstance(value["c"], Decimal)
    assert type(value["d"]) is int


def test_an_escaped_backslash_is_no_nul() -> None:
    assert parsing.parse_json(rb'{"a": "\\u0000"}') == {"a": "\\u0000"}
    assert parsing.parse_json(rb'{"a": "\ud83d\ude00"}') == {"a": "😀"}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=UTF-8", "application/x+json"])
def test_json_is_taken(kind: str) -> None:
    media.check_json_type(kind)


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "",
        "text/plain",
        "application/json; charset=latin-1",
        "application/x-www-form-urlencoded",
        "json",
    ],
)
def test_another_content_type_is_415(kind: str | None) -> None:
    with pytest.raises(media.UnsupportedMediaType):
        media.check_json_type(kind)


def test_answers_are_exact() -> None:
    answer = media.dump_json(
        {
            "amount": Decimal("25.00"),
            "tiny": Decimal("1E-4"),
            "at": datetime(2026, 1, 31, 14, 30, tzinfo=UTC),
            "on": date(2026, 1, 31),
            "name": "Käse",
        }
    )
    assert json.loads(answer) == {
        "amount": "25.00",
        "tiny": "0.0001",
        "at": "2026-01-31T14:30:00.000000Z",
        "on": "2026-01-31",
        "name": "Käse",
    }
    assert media.dump_json({1: 10**30}) == b'{"1":1000000000000000000000000000000}'


def _request(body: bytes, **environ: str) -> falcon.Request:
    env = falcon.testing.create_environ(method="POST", body=body)
    env.pop("CONTENT_LENGTH", None)
    env.update(environ)
    env["wsgi.input"] = io.BytesIO(body)
    return falcon.Request(env)


def test_the_limit_holds_for_a_length_and_for_chunks() -> None:
    assert media.read_body(_request(b"12345", CONTENT_LENGTH="5"), 5) == b"12345"
    assert media.read_body(_request(b"12345", HTTP_TRANSFER_ENCODING="chunked"), 5) == b"12345"
    for extra in ({"CONTENT_LENGTH": "6"}, {"HTTP_TRANSFER_ENCODING": "chunked"}):
        with pytest.raises(media.BodyTooLarge):
            media.read_body(_request(b"123456", **extra), 5)


def test_a_body_that_stops_half_way_is_400() -> None:
    with pytest.raises(DomainError) as caught:
        media.read_body(_request(b"123", CONTENT_LENGTH="6"), 10)
    assert caught.value.status == 400


def test_a_path_is_told_and_not_repeated_for_every_member() -> None:
    key = "k" * 100_000
    members = ",".join(f'"{number}":"\\u0041"' for number in range(20_000))
    began = time.process_time()
    with pytest.raises(parsing.UnusableBody) as caught:
        parsing.parse_json(f'{{"{key}":{{{members},"z":"\\u0000"}}}}'.encode())
    assert time.process_time() - began < 1
    assert caught.value.errors[0]["field"] == key[:200]
