"""Errors of the database, without the values that were sent to it: they may be an e-mail address or a secret's digest.

What an error says ends up in the log, in a job's last error and on a terminal.
"""

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext


def conceal_values(engine: Engine) -> None:
    """Have the engine's errors say no values; it needs ``hide_parameters`` too.

    PostgreSQL tells them in ``DETAIL`` and ``CONTEXT``, which come after the first line. Where the value itself is
    what is wrong (SQLSTATE's class 22), the first line has it too.
    """
    event.listen(engine, "handle_error", _conceal)


def _conceal(context: ExceptionContext) -> None:
    conceal(context.original_exception, context.sqlalchemy_exception)


def conceal(error: BaseException, wrapped: BaseException | None) -> None:
    """Do so with one error, the driver's and SQLAlchemy's around it."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        # SQLite tells no values, nor does the driver by itself.
        return
    said = str(error)
    kept = f"{type(error).__name__} ({state})" if state.startswith("22") else said.partition("\n")[0]
    error.args = (kept,)
    if wrapped is not None:
        wrapped.args = (str(wrapped.args[0]).replace(said, kept),)
