"""Slowing down whoever guesses codes: by person, over all processes."""

from datetime import timedelta

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tillhook.db import RetryTransaction, utc_now
from tillhook.errors import NotFound, TooManyRequests
from tillhook.runtime import actor_of
from tillhook_vouchers.books import find
from tillhook_vouchers.models import Voucher, VoucherGuess
from tillhook_vouchers.tenders import unknown_code

#: Wrong codes that cost nothing, within an hour of each other; each further one doubles the wait, up to the longest.
FREE = 10
MEMORY = timedelta(hours=1)
FIRST_S, LONGEST_S = 10, 900


def look_up(session: Session, code: str, *, lock: bool = False) -> Voucher | NotFound:
    """Return the voucher of a code, or the problem, which is counted: the transaction must commit.

    Raises:
        TooManyRequests: 429 ``too-many-attempts``, with ``retry_after_s``: nothing was looked at.
    """
    user_id = actor_of(session).user_id
    guess = session.get(VoucherGuess, user_id) if user_id is not None else None
    _require_patience(guess)
    voucher = find(session, code, lock=lock)
    if voucher is not None:
        return voucher
    if user_id is not None:
        _count(session, user_id)
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
    guess = session.get(VoucherGuess, user_id, with_for_update=True, populate_existing=True)
    if guess is None:
        guess = VoucherGuess(user_id=user_id, failures=0, last_at=now)
        session.add(guess)
    elif now - guess.last_at > MEMORY:
        guess.failures = 0
    guess.failures += 1
    guess.last_at = now
    try:
        session.flush()
    except IntegrityError as error:
        raise RetryTransaction from error  # the same person's first ones met
