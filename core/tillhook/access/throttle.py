"""Slowing down whoever guesses passwords, over all processes, without locking anybody out.

Failures are counted three ways. The pair of account and address has few free tries: that stops guessing from
one place. The account as a whole has more: that stops guessing from many places. The address as a whole has
more still: that stops trying one password on many accounts. After its free tries each further failure doubles
the wait, up to a limit, so that no wait is for ever; while waiting nothing is checked and nothing counted, so
that hammering does not prolong it.

An attempt counts before it is checked, in a short transaction of its own, and what succeeds is taken back: so of
many at once no more are checked than are free.

Somebody who logged in from an address not long ago is held back there by the pair alone: neither what others
do to the account from elsewhere, nor what they do to other accounts behind the same router, keeps them out.

PINs are short, so they are guarded more closely: counted by person, and by person and till, which is remembered
for a day; and by till as a whole.
"""

import hashlib
import ipaddress
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from tillhook.access.models import LoginAttempt, SessionFamily, UserAccount
from tillhook.db import utc_now
from tillhook.errors import TooManyRequests

#: How long without a failure until the count of passwords begins anew, and that of PINs.
MEMORY, PIN_MEMORY = timedelta(hours=1), timedelta(days=1)
#: How long an address counts as known after a log-in from there.
KNOWN = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class Limit:
    """So many failures are free; the next makes one wait ``first_s``, each further one twice as long."""

    free: int
    first_s: int
    longest_s: int
    memory: timedelta = MEMORY

    def wait_s(self, failures: int) -> int:
        """Return the wait after that many failures, in seconds."""
        if failures < self.free:
            return 0
        return min(self.first_s * 2 ** min(failures - self.free, 20), self.longest_s)


PAIR = Limit(free=5, first_s=10, longest_s=900)
ACCOUNT = Limit(free=30, first_s=10, longest_s=300)
ADDRESS = Limit(free=100, first_s=10, longest_s=900)
PIN_PAIR = Limit(free=5, first_s=30, longest_s=900, memory=PIN_MEMORY)
PIN_PERSON = Limit(free=20, first_s=30, longest_s=3600, memory=PIN_MEMORY)
# Everybody's slips at a till count together, so a quiet hour forgets them.
PIN_PLACE = Limit(free=30, first_s=30, longest_s=900)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, and what it counts under.

    Args:
        limits: The keys, in the order in which they are locked.
        forgotten: Those that a success forgets.
        kept: Those that a success counts as well. Of all others it takes back its one attempt.
        pair: The key that alone holds back who is known to have been ``email`` at the network ``place`` of late.
    """

    limits: Mapping[str, Limit]
    forgotten: frozenset[str]
    kept: frozenset[str] = frozenset()
    pair: str = ""
    email: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt that was counted, and until when it made the next ones wait, by key."""

    attempt: Attempt
    waits: Mapping[str, datetime]


def log_in_attempt(email: str, address: str) -> Attempt:
    """Return the attempt of somebody at ``address`` who says to be ``email``."""
    place = network_of(address)
    pair, account = _key("pair", email, place), _key("account", email)
    limits = {pair: PAIR, account: ACCOUNT, _key("address", place): ADDRESS}
    return Attempt(_sorted(limits), frozenset({pair, account}), pair=pair, email=email, place=place)


def sign_up_attempt(email: str, address: str) -> Attempt:
    """Return the attempt of a new customer; it counts as a log-in, and for the address also when it succeeds."""
    attempt = log_in_attempt(email, address)
    sign_ups = _key("sign-up", attempt.place)
    return replace(attempt, limits=_sorted({**attempt.limits, sign_ups: ADDRESS}), kept=frozenset({sign_ups}))


def pin_attempt(person: str, place: str) -> Attempt:
    """Return the attempt with the PIN of ``person`` at ``place``."""
    pair, anywhere = _key("pin pair", person, place), _key("pin person", person)
    limits = {pair: PIN_PAIR, anywhere: PIN_PERSON, _key("pin place", place): PIN_PLACE}
    return Attempt(_sorted(limits), frozenset({pair, anywhere}))


def check_attempt(session: Session, attempt: Attempt) -> None:
    """Refuse an attempt that comes too early. Only reads, so that hammering costs little.

    Raises:
        TooManyRequests: 429 ``too-many-attempts`` with ``retry_after_s``.
    """
    now = utc_now()
    statement = select(LoginAttempt.key, LoginAttempt.blocked_until).where(
        LoginAttempt.key.in_(list(attempt.limits)), LoginAttempt.blocked_until > now
    )
    waits = {row.key: row.blocked_until for row in session.execute(statement)}
    _refuse_early(
        session,
        attempt,
        {key: until for key, until in waits.items() if _is_waiting(until, attempt.limits[key], now)},
        now,
    )


def claim(session: Session, attempt: Attempt) -> Claim:
    """Count an attempt as a failure, before anything is checked; of many at once each waits here for the one before.

    The caller commits, checks, and calls :func:`forgive` when it was none.

    Raises:
        TooManyRequests: 429 ``too-many-attempts``; the caller's transaction must not commit.
    """
    now = utc_now()
    had, made = {}, {}
    for key, limit in attempt.limits.items():
        before, after = _count(session, key, limit, now)
        if before is not None:
            had[key] = before
        elif after is not None:
            made[key] = after
    _refuse_early(session, attempt, had, now)
    return Claim(attempt, made)


def forgive(session: Session, claimed: Claim) -> None:
    """Take back what was counted of an attempt that succeeded, and forget the failures before it.

    A place's own count stays otherwise: a guesser with one good account must not clear it in between.
    """
    for key in claimed.attempt.limits:
        this = LoginAttempt.key == key
        if key in claimed.attempt.forgotten:
            session.execute(delete(LoginAttempt).where(this))
        elif key not in claimed.attempt.kept:
            session.execute(delete(LoginAttempt).where(this, LoginAttempt.failures == 1))
            is_own = LoginAttempt.blocked_until == claimed.waits.get(key)
            kept = case((is_own, None), else_=LoginAttempt.blocked_until)
            session.execute(
                update(LoginAttempt).where(this).values(failures=LoginAttempt.failures - 1, blocked_until=kept)
            )


def forget_old_attempts(session: Session) -> None:
    """Delete counts that would begin anew anyway, and those that a wrong clock dated into the future."""
    now = utc_now()
    session.execute(
        delete(LoginAttempt).where(~LoginAttempt.last_failed_at.between(now - PIN_MEMORY, now + PIN_MEMORY))
    )


def network_of(address: str) -> str:
    """Return what counts as one address: for IPv6 the /64 network, which one customer has to himself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _too_early(until: datetime, now: datetime) -> TooManyRequests:
    wait_s = max(1, math.ceil((until - now).total_seconds()))
    return TooManyRequests(
        f"Too many failed attempts. Try again in {wait_s} seconds.",
        code="too-many-attempts",
        retry_after_s=wait_s,
    )


def _refuse_early(session: Session, attempt: Attempt, waits: Mapping[str, datetime], now: datetime) -> None:
    if waits and attempt.pair and _is_known(session, attempt, now):
        waits = {key: until for key, until in waits.items() if key == attempt.pair}
    if waits:
        raise _too_early(max(waits.values()), now)


def _is_waiting(until: datetime | None, limit: Limit, now: datetime) -> bool:
    """Say whether a wait has yet to end; none that is longer than the longest: a clock was wrong when it was set."""
    return until is not None and now < until <= now + timedelta(seconds=limit.longest_s)


def _count(session: Session, key: str, limit: Limit, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Add one failure to a count, and its wait to come; concurrent ones add up.

    Returns:
        Until when one had to wait already, and until when one has to from now on; one of them is ``None``. A wait is
        not made longer while it lasts.
    """
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(LoginAttempt).values(key=key, failures=1, last_failed_at=now, blocked_until=None)
    is_old = LoginAttempt.last_failed_at < now - limit.memory
    statement = statement.on_conflict_do_update(
        index_elements=[LoginAttempt.key],
        set_={"failures": case((is_old, 1), else_=LoginAttempt.failures + 1), "last_failed_at": now},
    )
    counted = session.execute(statement.returning(LoginAttempt.failures, LoginAttempt.blocked_until)).one()
    if _is_waiting(counted.blocked_until, limit, now):
        return counted.blocked_until, None
    wait_s = limit.wait_s(counted.failures)
    until = now + timedelta(seconds=wait_s) if wait_s else None
    if until != counted.blocked_until:
        session.execute(update(LoginAttempt).where(LoginAttempt.key == key).values(blocked_until=until))
    return None, until


def _is_known(session: Session, attempt: Attempt, now: datetime) -> bool:
    statement = (
        select(SessionFamily.id)
        .join(UserAccount, UserAccount.id == SessionFamily.user_id)
        .where(
            UserAccount.email == attempt.email,
            SessionFamily.address == attempt.place,
            SessionFamily.created_at > now - KNOWN,
        )
        .limit(1)
    )
    return session.execute(statement).first() is not None


def _sorted(limits: Mapping[str, Limit]) -> dict[str, Limit]:
    return dict(sorted(limits.items()))


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
