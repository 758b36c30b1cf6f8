"""Telling every process that reference data changed."""

from sqlalchemy import text
from sqlalchemy.orm import Session


def bump_epoch(session: Session) -> None:
    """Make every process load its reference data again, once this transaction has committed.

    Takes the lock of the only row of ``epoch`` until then, so call it last.
    """
    session.execute(text("UPDATE epoch SET value = value + 1 WHERE id = 1"))
