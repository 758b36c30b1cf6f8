"""Helpers of the tests of access."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import user_actor
from tillhook.access.models import UserAccount
from tillhook.actor import Actor
from tillhook.runtime import Runtime, snapshot_of
from tillhook.testing.client import Client

PASSWORD = "testpass123"


@pytest.fixture
def log_in(client: Client) -> Callable[..., Any]:
    """``log_in("cashier")`` answers with the result; options are ``password`` and ``address``."""

    def log_in(who: str, password: str = PASSWORD, address: str = "10.0.0.1") -> Any:
        body = {"email": who if "@" in who else f"{who}@test.com", "password": password}
        return client.post("/api/auth/login", body, as_=None, remote_addr=address)

    return log_in


@pytest.fixture
def acting(runtime: Runtime) -> Callable[[Actor], Any]:
    """``with acting(actor) as session:`` writes in the name of an actor."""
    return lambda actor: runtime.unit_of_work(actor)


@pytest.fixture
def actor_named(runtime: Runtime) -> Callable[[str], Actor]:
    """Return the actor that a role's person of the template is."""

    def actor_named(role: str) -> Actor:
        with reading(runtime) as session:
            user_id = session.scalars(select(UserAccount.id).where(UserAccount.email == f"{role}@test.com")).one()
            return user_actor(session.connection(), snapshot_of(session), user_id)

    return actor_named


@contextlib.contextmanager
def reading(runtime: Runtime) -> Iterator[Session]:
    with runtime.unit_of_work(write=False) as session:
        yield session
