"""A shop of nothing but a few routes: HTTP is tested without the areas that stand on it."""

import dataclasses
import json as json_module
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import falcon.testing
import pytest
from sqlalchemy import BigInteger, Column, MetaData, String, Table, insert, select, text

from tillhook.access import Claims, issue_access_token
from tillhook.actor import Actor
from tillhook.config import Settings
from tillhook.db import Base, Database, Exact, Id, Instant
from tillhook.errors import Conflict
from tillhook.events.models import ConsumerCursor, OutboxEvent
from tillhook.hooks.declarations import AUTHENTICATED, PUBLIC, Route
from tillhook.http import Amount, Call, Key, ListQuery, Ordering, Quantity, Reply, Schema, Text, page
from tillhook.reference.snapshot import Snapshot
from tillhook.runtime import Runtime
from tillhook.server.app import create_app
from tillhook.server.models import IdempotencyKey, JobTurn, WorkerSign
from tillhook.testing import Databases

metadata = MetaData()
THING = Table(
    "thing",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("price", Exact),
    Column("made_at", Instant),
    Column("rank", BigInteger, nullable=False, default=0),
)
ACTORS = {
    1: Actor(user_id=1, name="Ada", permissions=frozenset({"shop:thing:read", "shop:thing:make"})),
    2: Actor(user_id=2, name="Bob", permissions=frozenset({"shop:thing:read"})),
    3: Actor(user_id=3, name="Eve", permissions=frozenset({"platform:metrics:read", "shop:thing:make"})),
}


class ThingIn(Schema):
    name = Text(min=1, max=100, required=True)
    price = Amount(load_default=None, allow_none=True)
    quantity = Quantity()
    warehouse = Key()


class ThingsQuery(ListQuery):
    ordering = Ordering("name", "price", "made_at", "rank")


def make_thing(call: Call, **_: Any) -> dict[str, Any]:
    """Make a thing."""
    row = {"name": call.body["name"], "price": call.body["price"]}
    key = call.session.execute(insert(THING).values(**row).returning(THING.c.id)).scalar_one()
    if call.body["name"] == "refused":
        raise Conflict("There is no room.", code="no-room")
    return {"id": key, **row}


def list_things(call: Call) -> dict[str, Any]:
    """List things."""
    columns = {name: THING.c[name] for name in ("id", "name", "price", "made_at", "rank")}
    rows, cursor = page(call.session, select(THING), ordering=columns, query=call.query)
    return {"items": [{"id": row.id, "name": row.name} for row in rows], "next_cursor": cursor}


def whoami(call: Call) -> dict[str, Any]:
    """Say who asks."""
    return {"name": call.actor.name, "request_id": call.request_id}


def store(call: Call) -> dict[str, Any]:
    """Keep a file."""
    file = call.upload()
    return {"filename": file.filename, "size": len(file.stream.read()), **call.body}


class StoreIn(Schema):
    from_text = True
    warehouse = Key()


ROUTES = (
    Route(
        method="POST",
        path="/things",
        handler=make_thing,
        permission="shop:thing:make",
        body=ThingIn,
        status=201,
        problems=(409,),
    ),
    Route(method="GET", path="/things", handler=list_things, permission="shop:thing:read", query=ThingsQuery),
    Route(
        method="GET",
        path="/things/{thing_id:int}",
        handler=lambda call, thing_id: {"id": thing_id},
        permission=PUBLIC,
    ),
    Route(
        method="DELETE",
        path="/things/{thing_id:int}",
        handler=lambda call, thing_id: None,
        permission="shop:thing:make",
    ),
    Route(method="GET", path="/scan/{code}", handler=lambda call, code: {"code": code}, permission=PUBLIC),
    Route(method="GET", path="/me", handler=whoami, permission=AUTHENTICATED),
    Route(method="GET", path="/public", handler=whoami, permission=PUBLIC),
    Route(method="POST", path="/files", handler=store, permission="shop:thing:make", body=StoreIn, upload=True),
    Route(
        method="POST",
        path="/key",
        handler=lambda call: Reply(data=b"%PDF", content_type="application/pdf", headers={"Location": "/x"}),
        permission="shop:thing:make",
    ),
)


class FakeSnapshots:
    """Reads the epoch as the real one does."""

    def __init__(self) -> None:
        self.snapshot = Snapshot(1, {}, {}, {}, {}, {}, [], {}, {}, {}, frozenset())

    def current(self, connection: Any) -> Snapshot:
        connection.exec_driver_sql("SELECT value FROM epoch WHERE id = 1").scalar_one()
        return self.snapshot


class FakeRuntime:
    """What HTTP asks of the runtime."""

    bind = Runtime.bind
    unit_of_work = Runtime.unit_of_work
    probe = Runtime.probe
    migrations = ()
    plugins = ()

    def __init__(self, settings: Settings, database: Database, routes: tuple[Route, ...]) -> None:
        self.settings = settings
        self.database = database
        owners = SimpleNamespace(owner_of=lambda kind, name: "tillhook")
        self.registry = SimpleNamespace(routes=routes, permissions={}, owner_of=owners.owner_of, jobs={}, consumers={})
        self.snapshots = FakeSnapshots()


class Shop:
    """A client with the runtime behind it."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime
        self.app = create_app(runtime)  # type: ignore[arg-type]
        self._client = falcon.testing.TestClient(self.app)

    def token(self, user: int = 1) -> str:
        return issue_access_token(self.runtime.settings, user, 1)

    def request(self, method: str, path: str, *, user: int | None = 1, **options: Any) -> Any:
        headers = dict(options.pop("headers", {}))
        if user is not None:
            headers.setdefault("Authorization", f"Bearer {self.token(user)}")
        if "media" in options:
            options["body"] = json_module.dumps(options.pop("media"))
            headers.setdefault("Content-Type", "application/json")
        return self._client.simulate_request(method, path, headers=headers, **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.request("POST", path, **options)

    def names(self) -> list[str]:
        with self.runtime.database.connect() as connection:
            return list(connection.scalars(select(THING.c.name).order_by(THING.c.id)))

    def add(self, *rows: dict[str, Any]) -> None:
        with self.runtime.database.unit_of_work() as session:
            for row in rows:
                session.execute(insert(THING).values(**row))


@pytest.fixture(scope="session")
def http_postgres(databases: Databases) -> Iterator[str]:
    with databases.empty("postgresql") as url:
        yield url


@pytest.fixture
def engine(engine_name: str) -> str:
    return engine_name


@pytest.fixture
def database(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if engine == "postgresql":
        url = request.getfixturevalue("http_postgres")
    database = Database(url)
    tables = [each.__table__ for each in (IdempotencyKey, WorkerSign, JobTurn, ConsumerCursor, OutboxEvent)]
    with database.engine.begin() as connection:
        metadata.drop_all(connection)
        Base.metadata.drop_all(connection, tables)
        connection.execute(text("DROP TABLE IF EXISTS epoch"))
        metadata.create_all(connection)
        Base.metadata.create_all(connection, tables)
        connection.execute(text("CREATE TABLE epoch (id INTEGER PRIMARY KEY, value BIGINT)"))
        connection.execute(text("INSERT INTO epoch VALUES (1, 1)"))
    yield database
    database.dispose()


@pytest.fixture
def make_shop(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    """Return a function that makes a shop of the given routes and settings."""

    def load_actor(_connection: Any, _snapshot: Any, claims: Claims) -> Actor:
        return ACTORS[claims.user_id]

    monkeypatch.setattr("tillhook.server.dispatch.load_actor", load_actor)
    settings = Settings(data_dir=tmp_path, secret="s" * 40, max_body=2048, max_upload=4096, demo=False)

    def make(routes: tuple[Route, ...] = ROUTES, **changes: Any) -> Shop:
        return Shop(FakeRuntime(dataclasses.replace(settings, **changes), database, routes))

    return make


@pytest.fixture
def shop(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop()
