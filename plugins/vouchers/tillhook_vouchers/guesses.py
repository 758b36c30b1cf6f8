"""Slowing down whoever guesses codes: by person, over all processes."""

from datetime import timedelta

from sqlalchemy import case
from sqlalchemy.orm import Session

from tillhook.db import insert_or, utc_now
from tillhook.errors import NotFound, TooManyRequests
from tillhook.runtime import actor_of, runtime_of
from tillhook_vouchers.books import find
from tillhook_vouchers.models import Voucher, VoucherGuess
from tillhook_vouchers.tenders import unknown_code

#: Wrong codes that cost nothing, within an hour of each other; each further one doubles the wait, up to the longest.
FREE = 10
MEMORY = timedelta(hours=1)
FIRST_S, LONGEST_S = 10, 900


def look_up(session: Session, code: str) -> Voucher:
    """Return the voucher of a code, for a session that only reads; a code that is none is counted.

    Raises:
        NotFound: 404 ``vouchers-unknown-code`` or ``vouchers-code-mistyped``.
        TooManyRequests: 429 ``too-many-attempts``, with ``retry_after_s``: nothing was looked at.
    """
    actor = actor_of(session)
    guess = None if actor.user_id is None else session.get(VoucherGuess, actor.user_id)
    _require_patience(guess)
    voucher = find(session, code)
    if voucher is None:
        if actor.user_id is not None:
            # By a transaction of its own, which commits although the answer is an error.
            with runtime_of(session).unit_of_work(actor) as writing:
                _count(writing, actor.user_id)
        raise unknown(code)
    return voucher


def unknown(code: str) -> NotFound:
    """Return the problem that a code is none."""
    slug, message = unknown_code(code)
    return NotFound(message, code=slug)


def _require_patience(guess: VoucherGuess | None) -> None:
    if guess is None or guess.failures < FREE:
        return
    wait_s = min(FIRST_S * 2 ** min(guess.failures - FREE, 20), LONGEST_S)
    left_s = int((guess.last_at + timedelta(seconds=wait_s) - utc_now()).total_seconds()) + 1
    if left_s > 0:
        raise TooManyRequests(
            f"Too many codes that are none. Try again in {left_s} seconds.",
            code="too-many-attempts",
            retry_after_s=left_s,
        )


def _count(session: Session, user_id: int) -> None:
    now = utc_now()
    again = {
        "failures": case((VoucherGuess.last_at < now - MEMORY, 1), else_=VoucherGuess.failures + 1),
        "last_at": now,
    }
    statement = insert_or(session.connection(), VoucherGuess).values(user_id=user_id, failures=1, last_at=now)
    session.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=again))
