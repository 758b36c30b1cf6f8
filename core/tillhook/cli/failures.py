"""What a person is told when the database does not do what a command asks."""

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tillhook.db import OutcomeUnknown, is_read_only, is_retryable, is_unavailable
from tillhook.errors import DatabaseUnavailable

_NO_TABLE = "42P01"


def explained(error: Exception) -> str | None:
    """Return a sentence, with the driver's own words; ``None`` for what is no matter of the database's state."""
    if isinstance(error, OutcomeUnknown):
        return "the database was lost while this was being saved: look whether it was done before you try again"
    if isinstance(error, PoolTimeout):
        return "the database has no connection free"
    if isinstance(error, DatabaseUnavailable):
        return error.detail
    if not isinstance(error, DBAPIError):
        return None
    reason = str(error.orig).strip().partition("\n")[0]
    if getattr(error.orig, "sqlstate", None) == _NO_TABLE or "no such table" in reason:
        return f"the database's tables are not there or not up to date ({reason}); tillhook migrate makes them"
    if is_read_only(error):
        return f"the database takes no changes at present ({reason})"
    if is_retryable(error):
        return f"others changed the same at the same time ({reason}); try again"
    if is_unavailable(error):
        return f"the database cannot be reached or used ({reason})"
    return None


__all__ = ["explained"]
