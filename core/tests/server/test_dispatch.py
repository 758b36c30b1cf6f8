"""The way of a request, and that every refusal is a problem which changed nothing."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from tillhook.db import Database, RetryTransaction
from tillhook.errors import StartupError
from tillhook.hooks.declarations import PUBLIC, Route
from tillhook.http import Call, Schema

#: For what no database has a part in.
sqlite_only = pytest.mark.parametrize("engine", ["sqlite"])

JSON = {"Content-Type": "application/json"}


def problem(result: Any, status: int) -> dict[str, Any]:
    assert result.status_code == status, result.text
    assert result.headers["content-type"] == "application/problem+json"
    assert result.json["status"] == status
    assert result.json["request_id"] == result.headers["x-request-id"]
    assert result.json["type"] == f"urn:tillhook:problem:{result.json['code']}"
    return result.json


def test_a_thing_is_made(shop: Any) -> None:
    result = shop.post("/api/things", media={"name": " Bread ", "price": 2.5})
    assert result.status_code == 201
    assert result.json == {"id": 1, "name": "Bread", "price": "2.5"}
    assert shop.names() == ["Bread"]
    assert result.headers["cache-control"] == "no-store"
    assert result.headers["x-content-type-options"] == "nosniff"


def test_a_trailing_slash_is_the_same_route(shop: Any) -> None:
    assert shop.post("/api/things/", media={"name": "Bread"}).status_code == 201
    assert shop.get("/api/things/", query_string="").json["items"] == [{"id": 1, "name": "Bread"}]


def test_nothing_is_204(shop: Any) -> None:
    result = shop.request("DELETE", "/api/things/5")
    assert (result.status_code, result.content) == (204, b"")


def test_without_token(shop: Any) -> None:
    result = shop.post("/api/things", media={"name": "Bread"}, user=None)
    assert problem(result, 401)["code"] == "unauthenticated"
    assert result.headers["www-authenticate"] == "Bearer"


@sqlite_only
@pytest.mark.parametrize("token", ["Bearer x", "Bearer th_x", "Bearer", "Bearer a.b.c", "Basic eDp5", "Bearer \xff"])
def test_with_a_bad_token(shop: Any, token: str) -> None:
    problem(shop.get("/api/me", headers={"Authorization": token}), 401)
    # A public route serves anyway: somebody's old token must not keep them from logging in.
    assert shop.get("/api/public", headers={"Authorization": token}).json["name"] == ""


def test_a_public_route_knows_who_asks(shop: Any) -> None:
    assert shop.get("/api/public").json["name"] == "Ada"
    assert shop.get("/api/public", user=None).json["name"] == ""


def test_lacking_the_permission_comes_before_the_body(shop: Any) -> None:
    body = problem(shop.post("/api/things", media={"nonsense": 1}, user=2), 403)
    assert body["permission"] == "shop:thing:make"


def test_fields_are_named(shop: Any) -> None:
    sent = {"name": "", "price": "1e9", "warehouse": True, "extra": 1}
    errors = problem(shop.post("/api/things", media=sent), 422)["errors"]
    assert {each["field"] for each in errors} == {"name", "price", "warehouse", "extra"}
    assert problem(shop.post("/api/things", media=[1]), 422)["errors"][0]["field"] == "body"
    assert problem(shop.post("/api/things"), 422)["errors"][0]["field"] == "name"
    assert shop.names() == []


@sqlite_only
@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b'{"name": NaN}', JSON, 400),
        (b"[" * 2000, JSON, 422),
        (b'{"name": "a\\u0000"}', JSON, 422),
        (b'{"name": "a"}', {"Content-Type": "text/plain"}, 415),
        (b'{"name": "a"}', {}, 415),
        (b'{"name": "' + b"a" * 3000 + b'"}', JSON, 413),
    ],
)
def test_bad_bodies(shop: Any, body: bytes, headers: dict[str, str], status: int) -> None:
    problem(shop.post("/api/things", body=body, headers=headers), status)
    assert shop.names() == []


@sqlite_only
def test_a_route_without_body_or_query_takes_none(shop: Any) -> None:
    assert shop.request("DELETE", "/api/things/5", media={}).status_code == 204
    problem(shop.request("DELETE", "/api/things/5", media={"x": 1}), 422)
    assert problem(shop.get("/api/me?x=1"), 422)["errors"] == [{"field": "x", "message": "Unknown field."}]
    problem(shop.get("/api/things?limit=1&limit=2"), 422)


@sqlite_only
@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api", "/api/nothing", "/api/scan/%00", "/api/things/9223372036854775808"),
        *(f"/api/things/{wrong}" for wrong in ("0", "-1", "+1", "1_0", "1.0", "%D9%A3", "x")),
    ],
)
def test_an_unknown_address_is_404(shop: Any, path: str) -> None:
    problem(shop.get(path), 404)


def test_the_largest_key_is_an_address(shop: Any) -> None:
    assert shop.get("/api/things/9223372036854775807").json == {"id": 2**63 - 1}
    assert shop.get("/api/scan/00%2B12").json == {"code": "00+12"}


@sqlite_only
def test_another_method_is_405(shop: Any) -> None:
    result = shop.request("PATCH", "/api/things")
    problem(result, 405)
    assert {"GET", "POST"} <= set(result.headers["allow"].replace(" ", "").split(","))


@sqlite_only
def test_head_and_options(shop: Any) -> None:
    result = shop.request("HEAD", "/api/things/7")
    assert (result.status_code, result.content) == (200, b"")
    assert "POST" in shop.request("OPTIONS", "/api/things").headers["allow"]


@sqlite_only
def test_the_request_id_is_kept_or_made(shop: Any) -> None:
    given = shop.get("/api/me", headers={"X-Request-ID": "till-2-000017"})
    assert given.headers["x-request-id"] == given.json["request_id"] == "till-2-000017"
    for bad in ("short", "x" * 65, "sp ace sp ace"):
        assert shop.get("/api/me", headers={"X-Request-ID": bad}).headers["x-request-id"] != bad


def test_a_refusal_undoes_everything(shop: Any) -> None:
    assert problem(shop.post("/api/things", media={"name": "refused"}), 409)["code"] == "no-room"
    assert shop.names() == []


def test_a_race_for_a_unique_value_is_409(shop: Any) -> None:
    assert shop.post("/api/things", media={"name": "Bread"}).status_code == 201
    assert problem(shop.post("/api/things", media={"name": "Bread"}), 409)["code"] == "conflict"


def _post(handler: Callable[..., Any], **options: Any) -> Route:
    return Route(method="POST", path="/x", handler=handler, permission=PUBLIC, **options)


def test_a_bug_is_500_and_says_nothing(make_shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(call: Call) -> None:
        call.session.execute(text("INSERT INTO thing (name, rank) VALUES ('x', 0)"))
        raise RuntimeError("secret")

    shop = make_shop((_post(broken),))
    result = shop.post("/api/x")
    assert problem(result, 500)["code"] == "internal-server-error"
    assert "secret" not in result.text
    assert shop.names() == []


def test_a_wrong_statement_is_a_bug(make_shop: Any) -> None:
    def wrong(call: Call) -> None:
        call.session.execute(text("SELECT nonsense FROM thing"))

    problem(make_shop((_post(wrong),)).post("/api/x"), 500)


@sqlite_only
def test_a_value_without_json_form_is_a_bug(make_shop: Any) -> None:
    problem(make_shop((_post(lambda call: {"x": 1.5 + 1j}),)).post("/api/x"), 500)


def test_a_concurrent_transaction_is_met_again(make_shop: Any) -> None:
    attempts = []

    def handler(call: Call) -> dict[str, int]:
        call.session.execute(text("INSERT INTO thing (name, rank) VALUES ('x', 0)"))
        attempts.append(call.body)
        call.body["seen"] = True  # what one attempt did to its body, the next one must not see
        if len(attempts) < 3:
            raise RetryTransaction
        return {"attempts": len(attempts)}

    shop = make_shop((_post(handler, body=Schema.from_dict({})),))
    assert shop.post("/api/x", media={}).json == {"attempts": 3}
    assert shop.names() == ["x"]


def test_an_unreachable_database_is_503(make_shop: Any, tmp_path: Any, engine: str) -> None:
    shop = make_shop()
    shop.runtime.database.dispose()
    if engine == "sqlite":
        (tmp_path / "shop.db").unlink()
        (tmp_path / "shop.db").mkdir()
    else:
        shop.runtime.database = Database(f"postgresql://postgres@/postgres?host={tmp_path}")
    result = shop.get("/api/things")
    assert problem(result, 503)["code"] == "service-unavailable"
    assert result.headers["retry-after"] == "1"
    problem(shop.get("/readyz"), 503)
    assert shop.get("/healthz").status_code == 200


@sqlite_only
def test_two_routes_in_one_place_refuse_to_start(make_shop: Any) -> None:
    with pytest.raises(StartupError, match="two routes claim POST /x"):
        make_shop((_post(lambda call: None), _post(lambda call: None)))


@sqlite_only
def test_a_reply_says_its_own_headers(shop: Any) -> None:
    result = shop.post("/api/key")
    assert result.content == b"%PDF"
    assert result.headers["content-type"] == "application/pdf"
    assert result.headers["location"] == "/x"


def _form(*parts: tuple[str, str, bytes]) -> dict[str, Any]:
    body = b"".join(
        b"--BOUND\r\nContent-Disposition: form-data; " + f"{head}\r\n{kind}\r\n".encode() + data + b"\r\n"
        for head, kind, data in parts
    )
    return {
        "body": body + b"--BOUND--\r\n",
        "headers": {"Content-Type": "multipart/form-data; boundary=BOUND"},
    }


FILE = 'name="file"; filename="a.csv"'
CSV = "Content-Type: text/csv\r\n"


def test_an_upload(shop: Any) -> None:
    form = _form((FILE, CSV, b"a,b\n1,2\n"), ('name="warehouse"', "", b"7"))
    assert shop.post("/api/files", **form).json == {"filename": "a.csv", "size": 8, "warehouse": 7}


@sqlite_only
@pytest.mark.parametrize(
    ("parts", "status"),
    [
        ([], 422),
        ([(FILE, CSV, b"x" * 5000)], 413),
        ([(FILE, CSV, b"x"), (FILE, CSV, b"x")], 400),
        ([(FILE, CSV, b"x"), ('name="warehouse"', "", b"x")], 422),
        ([(FILE, CSV, b"x"), ('name="other"', "", b"x")], 422),
        ([(FILE, CSV, b"x"), ('name="warehouse"', "", b"\xff")], 400),
    ],
)
def test_bad_uploads(shop: Any, parts: Any, status: int) -> None:
    problem(shop.post("/api/files", **_form(*parts)), status)


@sqlite_only
def test_broken_forms(shop: Any) -> None:
    problem(shop.post("/api/files", media={}), 415)
    for kind in ("multipart/form-data", "multipart/form-data; boundary=OTHER"):
        form = {**_form((FILE, CSV, b"x")), "headers": {"Content-Type": kind}}
        problem(shop.post("/api/files", **form), 400)


@sqlite_only
def test_cors_is_off_unless_set(make_shop: Any) -> None:
    asked = {"Origin": "https://till.example", "Access-Control-Request-Method": "POST"}
    shop = make_shop()
    assert "access-control-allow-origin" not in shop.request("OPTIONS", "/api/things", headers=asked).headers
    shop = make_shop(cors_origins=("https://till.example",))
    headers = shop.request("OPTIONS", "/api/things", headers=asked, user=None).headers
    assert headers["access-control-allow-origin"] == "https://till.example"
    other = {**asked, "Origin": "https://evil.example"}
    assert "access-control-allow-origin" not in shop.get("/api/me", headers=other).headers


@sqlite_only
def test_metrics_need_a_token_or_the_permission(make_shop: Any) -> None:
    shop = make_shop(metrics_token="t" * 40)
    shop.get("/api/things/7")
    assert 'route="/api/things/{thing_id:int}"' in shop.get("/metrics", user=3).text
    assert shop.get("/metrics", headers={"Authorization": "Bearer " + "t" * 40}).status_code == 200
    problem(shop.get("/metrics", user=None), 401)
    problem(shop.get("/metrics", user=1), 403)
    problem(make_shop().get("/metrics", headers={"Authorization": "Bearer "}), 401)


@sqlite_only
@pytest.mark.filterwarnings("ignore:Unknown REQUEST_METHOD")
def test_methods_that_are_none_of_https_are_one_in_the_metrics(make_shop: Any) -> None:
    shop = make_shop(metrics_token="t" * 40)
    for number in range(20):
        shop.request(f"BREW{number}", "/api/things/7")
    text = shop.get("/metrics", headers={"Authorization": "Bearer " + "t" * 40}).text
    assert 'method="other"' in text
    assert "BREW" not in text


@sqlite_only
def test_every_request_is_logged(shop: Any, capsys: pytest.CaptureFixture[str]) -> None:
    import structlog

    with structlog.testing.capture_logs() as logs:
        shop.get("/api/scan/12?x=1", headers={"X-Request-ID": "abcdefgh"})
    (line,) = [each for each in logs if each["event"] == "request"]
    assert {"method": "GET", "status": 422, "route": "/api/scan/{code}"}.items() <= line.items()
    assert line["request_id"] == "abcdefgh"
    assert json.dumps(line)


def test_ready(shop: Any) -> None:
    assert shop.get("/readyz", user=None).json["status"] == "ready"
