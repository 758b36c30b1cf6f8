"""What was sent to the database is in no error: not in the log, not in a job's last error, not on a terminal."""

import contextlib
import io
import json
import re
import traceback

import pytest
import structlog
from click.testing import CliRunner
from sqlalchemy import insert, text

from tillhook.access.models import UserAccount
from tillhook.cli.main import cli
from tillhook.db import insert_rows
from tillhook.events import record, sequence_events
from tillhook.events.consumers import introduce
from tillhook.events.models import ConsumerCursor
from tillhook.hooks import Consumer, Job
from tillhook.server import logs
from tillhook.server.models import JobTurn
from tillhook.server.worker import Worker
from tillhook.testing import plug

SECRET = "hush@example.com"
HASH = "$argon2id$hush"
TAKEN = {"email": "admin@test.com", "name": SECRET, "password_hash": HASH, "all_warehouses": False, "is_active": True}


def _cast(kind):
    return lambda session: session.execute(text(f"SELECT CAST(:value AS {kind})"), {"value": SECRET})


def _save(session):
    session.add(UserAccount(**TAKEN))
    session.flush()


def _insert_plainly(session):
    insert_rows(session.connection(), "user_account", [TAKEN | {"id": 9_999}])


def _miss(session):
    session.execute(text("INSERT INTO user_account (email, password_hash) VALUES (:email, :hash)"), _MISSING)


_MISSING = {"email": SECRET, "hash": HASH}
#: What both engines refuse, and what the error must say.
FAULTS = {
    "plain": (_insert_plainly, "user_account"),
    "unique": (_save, "user_account"),
    "many": (lambda session: session.execute(insert(UserAccount), [{**TAKEN}, {**TAKEN, "email": SECRET}]), "INSERT"),
    "null": (_miss, "user_account"),
    "type": (lambda session: session.execute(text("SELECT :value"), {"value": {SECRET}}), "SELECT"),
}
#: What SQLite takes.
POSTGRESQL = {
    "number": (_cast("integer"), "InvalidTextRepresentation"),
    "json": (_cast("jsonb"), "22P02"),
    "moment": (_cast("timestamptz"), "22007"),
    "long": (
        lambda session: session.execute(
            text("SELECT CAST(CAST(:value AS numeric) AS bigint)"), {"value": "7" * 30 + ".5"}
        ),
        "22003",
    ),
}


def is_silent(said):
    return not re.search(r"hush|admin@test\.com|7{9}", said)


@pytest.mark.parametrize("name", FAULTS)
def test_an_error_says_what_was_wrong_and_not_with_which_value(runtime, name):
    check(runtime, *FAULTS[name])


@pytest.mark.parametrize("engine_name", ["postgresql"])
@pytest.mark.parametrize("name", POSTGRESQL)
def test_a_value_that_is_wrong_itself_is_not_said(runtime, name):
    check(runtime, *POSTGRESQL[name])


def check(runtime, fault, needed):
    with pytest.raises(Exception) as caught, runtime.unit_of_work() as session:
        fault(session)
    said = "".join(traceback.format_exception(caught.value))
    assert is_silent(said), said
    assert needed in str(caught.value)


@pytest.fixture
def written(monkeypatch):
    """What the log has, as it would be written."""

    @contextlib.contextmanager
    def writing():
        written = io.BytesIO()
        with structlog.testing.capture_logs() as events:
            yield written
        for event in events:
            line = logs._rendered(None, "", structlog.processors.format_exc_info(None, "", dict(event)))
            assert json.loads(line)
            written.write(line)

    return writing


def test_the_log_the_last_error_and_the_terminal_have_none_of_it(runtime, client, make, written, monkeypatch):
    def spoil(session, *_):
        _miss(session)

    product = make.product(stock=5)
    plug(runtime, validate_sale=lambda session, draft: spoil(session))
    monkeypatch.setattr(runtime.registry, "jobs", {"bad": Job(name="bad", every_s=60, run=spoil)})
    monkeypatch.setattr(runtime.registry, "consumers", {"bad": Consumer(name="bad", handle=spoil)})
    with runtime.unit_of_work() as session:
        introduce(session, runtime.registry.consumers.values())
        record(session, "product:inventory-updated", {"number": 1})
        sequence_events(session)
    with written() as lines:
        sale = {"channel": "counter", "warehouse": make.main, "items": [{"product_id": product["id"], "quantity": 1}]}
        answer = client.post("/api/sales", sale)
        Worker(runtime).run_once()
        Worker(runtime).run_once()
        monkeypatch.setattr("tillhook.cli.context.Context.runtime", runtime)
        failed = CliRunner().invoke(cli, ["jobs", "run", "bad"])
    assert answer.status_code == 500
    with runtime.unit_of_work(write=False) as session:
        errors = [session.get(model, "bad").last_error for model in (JobTurn, ConsumerCursor)]
    for said in (
        lines.getvalue().decode(),
        answer.text,
        *errors,
        "".join(traceback.format_exception(failed.exception)),
    ):
        assert is_silent(said), said
    for event in ("unexpected error", "worker_failed", "consumer_failed"):
        assert f'"event":"{event}"' in lines.getvalue().decode()
    assert all(error.startswith("IntegrityError: ") for error in errors)
