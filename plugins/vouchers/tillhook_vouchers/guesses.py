"""Slowing down whoever guesses codes: by person, over all processes."""

import math
from datetime import timedelta

from sqlalchemy import case
from sqlalchemy.orm import Session

from tillhook.db import insert_or, utc_now
from tillhook.errors import DomainError, NotFound, TooManyRequests
from tillhook.runtime import actor_of, runtime_of
from tillhook_vouchers.books import find
from tillhook_vouchers.codes import unknown_code
from tillhook_vouchers.models import Voucher, VoucherGuess

#: Wrong codes that cost nothing, within an hour of each other; each further one doubles the wait, up to the longest.
FREE = 10
MEMORY = timedelta(hours=1)
FIRST_S, LONGEST_S = 10, 900


def look_up(session: Session, code: str) -> Voucher:
    """Return the voucher of a code; a code that is none is counted.

    Raises:
        NotFound: 404 ``vouchers-unknown-code`` or ``vouchers-code-mistyped``.
        TooManyRequests: 429 ``too-many-attempts``, with ``retry_after_s``: nothing was looked at.
    """
    require_patience(session)
    voucher = find(session, code)
    if voucher is None:
        raise counted(session, unknown(code))
    return voucher


def counted(session: Session, problem: DomainError) -> DomainError:
    """Let a code that is none be counted when its request has been undone."""
    runtime, actor = runtime_of(session), actor_of(session)

    def count() -> None:
        with runtime.unit_of_work(actor) as writing:
            _count(writing, actor.user_id)

    if actor.user_id is not None:
        problem.afterwards = count
    return problem


def unknown(code: str) -> NotFound:
    """Return the problem that a code is none."""
    slug, message = unknown_code(code)
    return NotFound(message, code=slug)


def require_patience(session: Session) -> None:
    """Refuse whoever has tried too many codes that are none.

    Raises:
        TooManyRequests: 429 ``too-many-attempts``, with ``retry_after_s``.
    """
    user_id = actor_of(session).user_id
    guess = None if user_id is None else session.get(VoucherGuess, user_id)
    if guess is None or guess.failures < FREE:
        return
    wait_s = min(FIRST_S * 2 ** min(guess.failures - FREE, 20), LONGEST_S)
    passed_s = (utc_now() - guess.last_at).total_seconds()
    # A wrong code that is yet to come was counted by a wrong clock.
    if 0 <= passed_s < wait_s:
        left_s = math.ceil(wait_s - passed_s)
        raise TooManyRequests(
            f"Too many codes that are none. Try again in {left_s} seconds.",
            code="too-many-attempts",
            retry_after_s=left_s,
        )


def _count(session: Session, user_id: int | None) -> None:
    now = utc_now()
    again = {
        "failures": case((VoucherGuess.last_at < now - MEMORY, 1), else_=VoucherGuess.failures + 1),
        "last_at": now,
    }
    statement = insert_or(session.connection(), VoucherGuess).values(user_id=user_id, failures=1, last_at=now)
    session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=again))
