"""Slowing down whoever guesses passwords, over all processes, without locking anybody out.

Failures are counted three ways. The pair of account and address has few free tries: that stops guessing from
one place. The account as a whole has more: that stops guessing from many places. The address as a whole has
more still: that stops trying one password on many accounts. After its free tries each further failure doubles
the wait, up to a limit, so that no wait is for ever; while waiting nothing is checked and nothing counted, so
that hammering does not prolong it.

Somebody who logged in from an address not long ago is held back there by the pair alone: neither what others
do to the account from elsewhere, nor what they do to other accounts behind the same router, keeps them out.

PINs are short, so they are guarded more closely: counted by person, and by person and till, which is remembered
for a day; by till as a whole; and before they are checked, so that of many at once no more get through than are free.
"""

import hashlib
import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, func, select, update
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
    """Somebody at ``address`` says to be ``email``."""

    email: str
    address: str

    @property
    def limits(self) -> dict[str, Limit]:
        """The three keys under which a failure counts, in the order in which they are locked."""
        place = network_of(self.address)
        keys = {
            _key("pair", self.email, place): PAIR,
            _key("account", self.email): ACCOUNT,
            _key("address", place): ADDRESS,
        }
        return dict(sorted(keys.items()))

    @property
    def pair_key(self) -> str:
        return _key("pair", self.email, network_of(self.address))


def check_attempt(session: Session, attempt: Attempt) -> None:
    """Refuse an attempt that comes too early. Only reads.

    Raises:
        TooManyRequests: 429 ``too-many-attempts`` with ``retry_after_s``.
    """
    now = utc_now()
    rows = session.execute(
        select(LoginAttempt.key, LoginAttempt.blocked_until).where(
            LoginAttempt.key.in_(list(attempt.limits)), LoginAttempt.blocked_until > now
        )
    ).all()
    if not rows:
        return
    waits = {row.key: row.blocked_until for row in rows}
    if _is_known(session, attempt, now):
        waits = {key: until for key, until in waits.items() if key == attempt.pair_key}
        if not waits:
            return
    raise _too_early(max(waits.values()), now)


def record_failure(session: Session, attempt: Attempt) -> None:
    """Count a failed attempt. The caller's transaction must commit although the answer is an error."""
    now = utc_now()
    for key, limit in attempt.limits.items():
        _count(session, key, limit, now)


def claim_pin(session: Session, person: str, place: str) -> None:
    """Count a PIN of ``person`` at ``place`` before it is checked. The caller commits, then checks.

    Raises:
        TooManyRequests: 429 ``too-many-attempts``; nothing is counted.
    """
    now = utc_now()
    limits = {_pin_place(place): PIN_PLACE, **_pin_limits(person, place)}
    blocked = select(func.max(LoginAttempt.blocked_until)).where(
        LoginAttempt.key.in_(list(limits)), LoginAttempt.blocked_until > now
    )
    until = session.scalar(blocked)
    for key, limit in _pin_limits(person, place).items():
        if until is None:
            # Of several at once each waits here for the one before.
            until = _count(session, key, limit, now)
    if until is not None:
        raise _too_early(until, now)


def forgive_pin(session: Session, person: str, place: str) -> None:
    """Forget what was counted of a person, whose PIN was right; the place's count stays."""
    session.execute(delete(LoginAttempt).where(LoginAttempt.key.in_(list(_pin_limits(person, place)))))


def record_wrong_pin(session: Session, place: str) -> None:
    """Count a wrong PIN at a place, whoever's it was to be."""
    _count(session, _pin_place(place), PIN_PLACE, utc_now())


def record_success(session: Session, attempt: Attempt) -> None:
    """Forget the failures of this account, and of it at this address.

    The address's own count stays: a guesser with one good account must not clear it in between.
    """
    session.execute(
        delete(LoginAttempt).where(LoginAttempt.key.in_([attempt.pair_key, _key("account", attempt.email)]))
    )


def forget_old_attempts(session: Session) -> None:
    """Delete counts that would begin anew anyway."""
    session.execute(delete(LoginAttempt).where(LoginAttempt.last_failed_at < utc_now() - PIN_MEMORY))


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


def _pin_limits(person: str, place: str) -> dict[str, Limit]:
    """Return the keys under which a person's PIN counts before it is checked, in the order in which they are locked."""
    keys = {_key("pin pair", person, place): PIN_PAIR, _key("pin person", person): PIN_PERSON}
    return dict(sorted(keys.items()))


def _pin_place(place: str) -> str:
    return _key("pin place", place)


def _count(session: Session, key: str, limit: Limit, now: datetime) -> datetime | None:
    """Add one failure to a count, and its wait to come; concurrent ones add up.

    Returns:
        Until when one had to wait already, ``None`` for one that came in time.
    """
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = insert(LoginAttempt).values(key=key, failures=1, last_failed_at=now, blocked_until=None)
    is_old = LoginAttempt.last_failed_at < now - limit.memory
    statement = statement.on_conflict_do_update(
        index_elements=[LoginAttempt.key],
        set_={"failures": case((is_old, 1), else_=LoginAttempt.failures + 1), "last_failed_at": now},
    )
    counted = session.execute(statement.returning(LoginAttempt.failures, LoginAttempt.blocked_until)).one()
    wait_s = limit.wait_s(counted.failures)
    if wait_s:
        until = now + timedelta(seconds=wait_s)
        session.execute(update(LoginAttempt).where(LoginAttempt.key == key).values(blocked_until=until))
    return counted.blocked_until if counted.blocked_until is not None and counted.blocked_until > now else None


def _is_known(session: Session, attempt: Attempt, now: datetime) -> bool:
    statement = (
        select(SessionFamily.id)
        .join(UserAccount, UserAccount.id == SessionFamily.user_id)
        .where(
            UserAccount.email == attempt.email,
            SessionFamily.address == network_of(attempt.address),
            SessionFamily.created_at > now - KNOWN,
        )
        .limit(1)
    )
    return session.execute(statement).first() is not None


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
