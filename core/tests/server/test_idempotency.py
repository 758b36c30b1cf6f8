"""One effect and one answer per ``Idempotency-Key``, on both engines."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update

from tillhook.db import utc_now
from tillhook.hooks.declarations import Route
from tillhook.http import Call, Schema
from tillhook.server import idempotency
from tillhook.server.models import IdempotencyKey

#: For what no database has a part in.
sqlite_only = pytest.mark.parametrize("engine", ["sqlite"])

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}


def _kept(shop: Any) -> int:
    with shop.runtime.database.connect() as connection:
        return connection.scalar(select(func.count()).select_from(IdempotencyKey))


def test_the_same_answer_again(shop: Any) -> None:
    first = shop.post("/api/things", media={"name": "Bread"}, headers=KEY)
    again = shop.post("/api/things", media={"name": "Bread"}, headers=KEY)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert shop.names() == ["Bread"]


def test_headers_and_bytes_come_again(shop: Any) -> None:
    first, again = (shop.post("/api/key", headers=KEY) for _ in range(2))
    assert first.content == again.content == b"%PDF"
    assert again.headers["content-type"] == "application/pdf"
    assert again.headers["location"] == "/x"


@pytest.mark.parametrize(
    ("path", "media"),
    [("/api/things", {"name": "Butter"}), ("/api/key", None), ("/api/things/", {"name": "X"})],
)
def test_another_request_is_422(shop: Any, path: str, media: Any) -> None:
    shop.post("/api/things", media={"name": "Bread"}, headers=KEY)
    options = {} if media is None else {"media": media}
    again = shop.post(path, headers=KEY, **options)
    assert (again.status_code, again.json["code"]) == (422, "idempotency-key-reused")
    assert shop.names() == ["Bread"]


def test_another_person_has_other_keys(shop: Any) -> None:
    assert shop.post("/api/things", media={"name": "Bread"}, headers=KEY).status_code == 201
    assert shop.post("/api/things", media={"name": "Butter"}, headers=KEY, user=3).status_code == 201


@sqlite_only
@pytest.mark.parametrize("key", ["", "x" * 256, "käse", "a\tb"])
def test_a_bad_key_is_422(shop: Any, key: str) -> None:
    result = shop.post("/api/things", media={"name": "Bread"}, headers={"Idempotency-Key": key})
    assert result.json["errors"][0]["field"] == "Idempotency-Key"
    assert shop.names() == []


@pytest.mark.parametrize("engine_name", ["sqlite"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/products", None),
        ("POST", "/api/auth/login", {"email": "admin@example.test", "password": "x"}),
        ("POST", "/api/sales/quote", {}),
        ("POST", "/api/sales/sync", {"sales": []}),
        ("POST", "/api/api-keys", {}),
    ],
)
def test_where_none_is_taken_it_is_refused_by_name(client: Any, method: str, path: str, body: Any) -> None:
    answer = client.request(method, path, body, headers=KEY)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency-key-not-taken")
    assert answer.json["errors"][0]["field"] == "Idempotency-Key"


def test_a_sale_is_posted_once(client: Any, make: Any) -> None:
    product = make.product(stock=5)
    sale = {
        "channel": "counter",
        "warehouse": make.main,
        "payment_method": "cash",
        "items": [{"product_id": product["id"], "quantity": 2}],
    }
    first, again = (client.post("/api/sales", sale, headers=KEY) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json["sale_number"] == again.json["sale_number"] and make.stock(product) == 3
    other = client.post("/api/sales", {**sale, "notes": "other"}, headers=KEY)
    assert (other.status_code, other.json["code"]) == (422, "idempotency-key-reused")


def test_a_refusal_is_not_kept(shop: Any) -> None:
    for _ in range(2):
        result = shop.post("/api/things", media={"name": "refused"}, headers=KEY)
        assert (result.status_code, "idempotency-replayed" in result.headers) == (409, False)
    assert _kept(shop) == 0
    assert shop.post("/api/things", media={"name": "Bread"}, headers=KEY).status_code == 201


def _route(handler: Any) -> Route:
    schema = Schema.from_dict({})
    return Route(method="POST", path="/x", handler=handler, permission="shop:thing:make", body=schema)


def test_a_5xx_is_not_kept(make_shop: Any) -> None:
    failures = [RuntimeError("once")]

    def handler(call: Call) -> dict[str, str]:
        if failures:
            raise failures.pop()
        return {"done": "yes"}

    shop = make_shop((_route(handler),))
    assert shop.post("/api/x", headers=KEY).status_code == 500
    assert shop.post("/api/x", headers=KEY).json == {"done": "yes"}


def test_two_at_once_have_one_effect(make_shop: Any, engine: str) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def handler(call: Call) -> dict[str, str]:
        call.session.execute(text("INSERT INTO thing (name, rank) VALUES ('x', 0)"))
        entered.set()
        assert go_on.wait(10)
        return {"done": "yes"}

    shop = make_shop((_route(handler),))
    results: list[Any] = []

    def send() -> None:
        results.append(shop.post("/api/x", headers=KEY))

    first = threading.Thread(target=send)
    first.start()
    assert entered.wait(10)
    second = threading.Thread(target=send)
    second.start()
    # PostgreSQL answers the second at once; on SQLite it waits in line for the first one's answer.
    second.join(10 if engine == "postgresql" else 0.3)
    assert len(results) == (1 if engine == "postgresql" else 0)
    go_on.set()
    first.join(10)
    second.join(10)
    assert sorted(result.status_code for result in results) == ([200, 409] if engine == "postgresql" else [200, 200])
    assert shop.names() == ["x"]
    assert shop.post("/api/x", headers=KEY).headers["idempotency-replayed"] == "true"


def test_a_key_lives_a_day(shop: Any) -> None:
    shop.post("/api/things", media={"name": "Bread"}, headers=KEY)
    with shop.runtime.database.unit_of_work() as session:
        idempotency.purge(session)
    assert _kept(shop) == 1
    with shop.runtime.database.unit_of_work() as session:
        session.execute(update(IdempotencyKey).values(created_at=utc_now() - timedelta(hours=25)))
    # Not yet purged, and good for another request already.
    assert shop.post("/api/things", media={"name": "Butter"}, headers=KEY).status_code == 201
    assert shop.names() == ["Bread", "Butter"]
    with shop.runtime.database.unit_of_work() as session:
        session.execute(update(IdempotencyKey).values(created_at=utc_now() - timedelta(hours=25)))
        idempotency.purge(session)
    assert _kept(shop) == 0
