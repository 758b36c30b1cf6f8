"""Addresses of PostgreSQL, and connections whose statements have an end."""

import psycopg
import pytest
from sqlalchemy import text

from tillhook.db import Database, OutcomeUnknown, retrying, wait_in_line, without_limits
from tillhook.db.postgresql import _address
from tillhook.testing.proxy import Proxy

on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"])


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://u:p@h:6/shop", {"host": "h", "port": "6", "user": "u", "password": "p", "dbname": "shop"}),
        ("postgres://h/shop", {"host": "h", "connect_timeout": "5"}),
        ("postgresql+psycopg://h/shop?connect_timeout=9", {"host": "h", "connect_timeout": "9"}),
        ("postgresql://h1:1,h2:2/shop", {"host": "h1,h2", "port": "1,2", "target_session_attrs": "read-write"}),
        ("postgresql://h1,h2/shop?target_session_attrs=any", {"host": "h1,h2", "target_session_attrs": "any"}),
        ("postgresql://u@/shop?host=/run/a,/run/b", {"host": "/run/a,/run/b", "target_session_attrs": "read-write"}),
        ("postgresql://u@%2Frun%2Fa/shop", {"host": "/run/a"}),
        ("postgresql://[::1]:6/shop", {"host": "::1", "port": "6"}),
    ],
)
def test_an_address_is_what_libpq_takes(url, expected):
    assert expected.items() <= _address(url).items()


@pytest.mark.parametrize(
    "url", ["postgresql://u:geheim@h/shop?colour=red", "postgresql://u:geheim%zz@h/shop", "mysql://h"]
)
def test_an_address_that_is_none_is_refused_without_its_password(url):
    with pytest.raises(ValueError, match="TILLHOOK_DATABASE_URL") as refusal:
        Database(url)
    assert "geheim" not in str(refusal.value)


@on_postgresql
def test_a_statement_without_an_answer_ends_and_its_connection_with_it(database_url):
    with Proxy(database_url) as proxy:
        database = Database(proxy.url, statement_timeout_s=0.5)
        with database.connect() as first, database.connect() as second:
            for each in (first, second):
                each.execute(text("SELECT 1"))
            second.rollback()
            proxy.hang()
            with pytest.raises(Exception, match="has not answered for 2 s") as error:
                first.execute(text("SELECT 1"))
            assert error.value.connection_invalidated
            proxy.go_on()
        # The other one is from before the failure, and is not trusted either.
        old = second.connection.driver_connection if not second.closed else None
        with database.connect() as third:
            assert third.connection.driver_connection is not old
            assert third.execute(text("SELECT 1")).scalar_one() == 1
        database.dispose()


@on_postgresql
def test_who_asks_for_more_time_has_it_until_the_transaction_ends(runtime):
    with runtime.database.connect() as connection:
        driver = connection.connection.driver_connection
        for wait, shown, patience in ((wait_in_line, "5min", 331), (without_limits, "0", None)):
            wait(connection)
            assert connection.execute(text("SHOW statement_timeout")).scalar_one() == shown
            assert driver._patience_s == patience
            connection.rollback()
            assert connection.execute(text("SHOW statement_timeout")).scalar_one() == "1min"
            assert driver._patience_s == 67
            connection.rollback()


@on_postgresql
def test_what_may_have_been_done_is_not_done_again(runtime, database_url):
    attempts = []

    def write():
        attempts.append(1)
        with runtime.unit_of_work() as session:
            session.execute(text("UPDATE epoch SET value = value + 1"))
            killed = session.connection().connection.driver_connection.info.backend_pid
            session.info["killed"] = killed
            with psycopg.connect(database_url) as other:
                other.execute("SELECT pg_terminate_backend(%s, 1000)", [killed])

    with pytest.raises(OutcomeUnknown):
        retrying(write)
    assert len(attempts) == 1
