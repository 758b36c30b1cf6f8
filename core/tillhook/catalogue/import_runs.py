"""One import at a time, and how far it has come: a lease in its row, as no transaction lasts as long as it does."""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from tillhook.catalogue.models import ProductImport
from tillhook.db import AdvisoryLock, advisory_lock, retrying, utc_now
from tillhook.errors import Conflict, DatabaseUnavailable
from tillhook.runtime import Runtime

#: How long an import may give no sign of life before another one may begin; one that was killed blocks so long.
LEASE = timedelta(seconds=120)
#: How long one that was stopped may be gone on with.
_KEPT = timedelta(hours=24)


class ImportRunning(Conflict):
    """Another import has not ended (409); ``retry_after_s`` says when to try again."""

    code = "import-running"


@dataclass(frozen=True, slots=True)
class Run:
    """An import that this process is at."""

    digest: str
    holder: str
    products_done: int
    counts: Mapping[str, int]


def begin(runtime: Runtime, digest: str, replay: Callable[[Session], None]) -> Run:
    """Begin an import, or go on with one that was stopped.

    Args:
        replay: Called when nobody imports any more, so that an answer that has been kept meanwhile is found.

    Raises:
        ImportRunning: 409.
    """
    return retrying(lambda: _begin(runtime, digest, replay))


def _begin(runtime: Runtime, digest: str, replay: Callable[[Session], None]) -> Run:
    now, holder = utc_now(), secrets.token_hex(8)
    with runtime.unit_of_work() as session:
        # Two that begin would each find nobody.
        advisory_lock(session, AdvisoryLock.IMPORT)
        for row in session.scalars(select(ProductImport)):
            if row.held_until is not None and row.held_until > now:
                raise ImportRunning(
                    "Another import has not ended; try again.", retry_after_s=_left_s(row.held_until, now)
                )
        replay(session)
        session.execute(delete(ProductImport).where(ProductImport.started_at < now - _KEPT), **_PLAIN)
        found = session.get(ProductImport, digest)
        if found is None:
            found = ProductImport(digest=digest, counts={}, products_done=0)
            session.add(found)
        found.held_by, found.held_until = holder, now + LEASE
        session.flush()
        return Run(digest, holder, found.products_done, dict(found.counts))


def keep(session: Session, run: Run, products_done: int, counts: Mapping[str, int]) -> Run:
    """Enter how far the import has come, in the transaction that brought it there.

    Raises:
        ImportRunning: It gave no sign of life for so long that somebody else may have gone on with it.
    """
    _change(session, run, products_done=products_done, counts=dict(counts), held_until=utc_now() + LEASE)
    return replace(run, products_done=products_done, counts=counts)


def end(session: Session, run: Run) -> None:
    """Forget an import that has ended; raises as :func:`keep`."""
    _change(session, run, held_until=None)
    session.execute(delete(ProductImport).where(ProductImport.digest == run.digest), **_PLAIN)


def release(runtime: Runtime, run: Run) -> None:
    """Let others import; the one that was stopped may be gone on with. Without a database the lease ends by itself."""
    mine = ProductImport.digest == run.digest, ProductImport.held_by == run.holder
    with suppress(DBAPIError, DatabaseUnavailable), runtime.unit_of_work() as session:
        session.execute(delete(ProductImport).where(*mine, ProductImport.products_done == 0), **_PLAIN)
        session.execute(update(ProductImport).where(*mine).values(held_until=None), **_PLAIN)


def _change(session: Session, run: Run, **values: Any) -> None:
    mine = ProductImport.digest == run.digest, ProductImport.held_by == run.holder
    changed = session.execute(update(ProductImport).where(*mine).values(**values), **_PLAIN)
    if not changed.rowcount:  # type: ignore[attr-defined]
        raise ImportRunning("Somebody else has gone on with this import.", retry_after_s=1)


def _left_s(until: datetime, now: datetime) -> int:
    return max(1, min(5, round((until - now).total_seconds())))


_PLAIN: Any = {"execution_options": {"synchronize_session": False}}
