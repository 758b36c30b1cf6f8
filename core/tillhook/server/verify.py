"""Recomputing what must be true, from the rows that are never changed, and making anew what is derived from them."""

from collections.abc import Iterator

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.access import audit
from tillhook.db import retrying, set_limits
from tillhook.errors import Conflict
from tillhook.hooks import Difference, Invariant
from tillhook.runtime import Runtime

#: Differences of an invariant that its audit entry names; how many there were, it says in any case.
_NAMED = 1_000


def verify(runtime: Runtime) -> Iterator[tuple[str, list[Difference]]]:
    """Check every invariant of the core and the plugins; yield its name and its differences, if any.

    All see one and the same state of the database, while others go on writing.
    """
    with runtime.database.connect() as connection:
        connection.execution_options(runtime=runtime)
        if runtime.database.is_postgresql:
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            set_limits(connection, statement_s=0)
        for name, invariant in runtime.registry.invariants.items():
            yield name, list(invariant.check(connection))


def repairable(runtime: Runtime) -> dict[str, Invariant]:
    """Return the invariants of what can be made anew, in the order in which it builds on each other."""
    return {name: each for name, each in runtime.registry.invariants.items() if each.repair is not None}


def repair(runtime: Runtime) -> dict[str, int]:
    """Make anew what is derived and wrong, in one transaction, and write into the audit log what differed.

    Returns:
        The invariants that differed, with how many differences each had.

    Raises:
        Conflict: 409 ``not-repaired``: one of them still differs; nothing was changed.
    """

    def run() -> dict[str, int]:
        with runtime.unit_of_work() as session:
            found = {name: _repair(session, each) for name, each in repairable(runtime).items()}
            return {name: count for name, count in found.items() if count}

    return retrying(run)


def _repair(session: Session, invariant: Invariant) -> int:
    before = _check(session, invariant)
    if not before or invariant.repair is None:
        return 0
    invariant.repair(session)
    session.flush()
    if left := _check(session, invariant):
        raise Conflict(f"{invariant.name}: {left[0].subject} still differs.", code="not-repaired")
    named = before[:_NAMED]
    audit(
        session,
        "repair",
        "invariant",
        invariant.name,
        before={"differences": len(before)} | {each.subject: each.actual for each in named},
        after={"differences": 0} | {each.subject: each.expected for each in named},
    )
    return len(before)


def _check(session: Session, invariant: Invariant) -> list[Difference]:
    connection = session.connection().execution_options(runtime=session.info["runtime"])
    return list(invariant.check(connection))


__all__ = ["repair", "repairable", "verify"]
