"""Hooks about the business's settings."""

from collections.abc import Set

from sqlalchemy.orm import Session

from tillhook.hooks import hookspec


@hookspec
def settings_changed(session: Session, keys: Set[str]) -> None:
    """Act on settings that were changed.

    Called: once per change, in its transaction; ``snapshot_of(session)`` has the new values already.

    Args:
        keys: Of the settings that were sent, be their values new or the same.

    Since: 0.1
    """
