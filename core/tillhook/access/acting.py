"""Working in somebody else's name, where a person settles what a device or a colleague began."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access.loading import user_actor
from tillhook.access.models import UserAccount
from tillhook.actor import Actor
from tillhook.errors import NotFound
from tillhook.runtime import actor_of, snapshot_of


@contextlib.contextmanager
def acting_for(session: Session, user_id: int | None, device: str | None = None) -> Iterator[Actor]:
    """Let what follows in this session happen in a user's name, with that user's present rights.

    The caller has checked that the actor may do so, and writes the audit entry in the own name, outside.

    Args:
        user_id: Active or not; ``None`` leaves the actor as it is.
        device: The device the user worked at.

    Raises:
        NotFound: 404: there is no such user.
    """
    own = actor_of(session)
    acting = own if user_id is None else _actor_of(session, user_id)
    session.info["actor"] = replace(acting, device=device)
    try:
        yield session.info["actor"]
    finally:
        session.info["actor"] = own


@contextlib.contextmanager
def acting_with(
    session: Session, permissions: Iterable[str] = (), warehouse_ids: frozenset[int] | None = frozenset()
) -> Iterator[Actor]:
    """Let what follows in this session happen with further rights, which the caller has found to be due.

    Args:
        permissions: Added to what the actor may do.
        warehouse_ids: Added to what the actor sees; ``None`` for every warehouse.
    """
    own = actor_of(session)
    seen = None if own.warehouse_ids is None or warehouse_ids is None else own.warehouse_ids | warehouse_ids
    session.info["actor"] = replace(own, permissions=own.permissions.union(permissions), warehouse_ids=seen)
    try:
        yield session.info["actor"]
    finally:
        session.info["actor"] = own


def _actor_of(session: Session, user_id: int) -> Actor:
    connection = session.connection()
    if connection.scalar(select(UserAccount.id).where(UserAccount.id == user_id)) is None:
        raise NotFound("There is no such user.")
    return user_actor(connection, snapshot_of(session), user_id)
