"""Passwords: their rules, hashing with Argon2id, checking in a time that betrays nothing.

Hashing takes its time on purpose. On SQLite there is one writer at a time, so what anybody may call from
outside (log-in, registration) hashes before the transaction that writes.
"""

import contextlib
import hmac
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError
from sqlalchemy import select
from sqlalchemy.orm import InstrumentedAttribute, Session

from tillhook.access.models import UserAccount
from tillhook.errors import TooManyRequests, ValidationFailed
from tillhook.runtime import runtime_of

MIN_LENGTH = 8
MAX_LENGTH = 128
#: Settings of the cost. The defaults are those of the OWASP Password Storage Cheat Sheet for Argon2id.
MEMORY_KIB, ROUNDS = "access.password_memory_kib", "access.password_rounds"
#: How many hash at a time in one process, and for how many seconds the others wait.
AT_ONCE, PATIENCE_S = 2, 5.0
_hashing = threading.BoundedSemaphore(AT_ONCE)


def check_new_password(password: str, *, field: str = "password", email: str = "") -> None:
    """Refuse a password that will not do.

    Raises:
        ValidationFailed: Too short, too long, or the e-mail address (422 ``weak-password``, ``field`` named).
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        message = f"Must have {MIN_LENGTH} to {MAX_LENGTH} characters."
    elif not password.strip() or (email and password.lower() in (email, email.partition("@")[0])):
        message = "Too easy to guess."
    else:
        return
    raise ValidationFailed.at(field, message, code="weak-password")


def hash_password(password: str, settings: Mapping[str, Any]) -> str:
    """Return the hash to keep, its parameters in it.

    Args:
        settings: A snapshot's settings.
    """
    return _hasher(settings).hash(_encoded(password))


def verify_password(
    password: str, kept: str | None, settings: Mapping[str, Any], *, instead: str | None = None
) -> bool:
    """Say whether ``password`` is the one that was hashed.

    Args:
        kept: ``None`` when there is no such account, or no hash of it.
        instead: The hash with which it is then compared in vain, so that it takes as long, see :func:`stand_in`.
    """
    hasher = _hasher(settings)
    tried = kept or instead
    try:
        if tried is not None:
            hasher.verify(tried, _encoded(password))
            return bool(kept)
    except VerifyMismatchError:
        return False
    except (VerificationError, InvalidHashError):
        pass
    # Nothing to compare with: only the time is spent.
    hasher.hash(_encoded(password))
    return False


def stand_in(session: Session, column: InstrumentedAttribute[Any], name: str) -> str | None:
    """Return somebody's hash to compare with where ``name`` has none; ``None`` when nobody has one.

    Hashes keep the parameters they were made with, and so their cost. Each name always gets the same person's, and
    who that is depends on the secret: so names that do not exist cost what those cost that do.

    Args:
        column: Of ``UserAccount``: of passwords or of PINs.
    """
    mine = select(UserAccount.id).where(column.is_not(None))
    last = session.scalar(mine.order_by(UserAccount.id.desc()).limit(1))
    if last is None:
        return None
    secret = runtime_of(session).settings.secret.encode()
    digest = hmac.digest(secret, b"stand-in\n" + name.encode("utf-8", "surrogatepass"), "sha256")
    first = int.from_bytes(digest[:8]) % last + 1
    statement = select(column).where(column.is_not(None), UserAccount.id >= first)
    found: str | None = session.scalar(statement.order_by(UserAccount.id).limit(1))
    return found


@contextlib.contextmanager
def hashing() -> Iterator[None]:
    """Be one of the few in this process who hash at a time, for hashing takes memory; the others wait a moment.

    To be entered by what anybody may call from outside, with no transaction open.

    Raises:
        TooManyRequests: 429 ``too-many-at-once`` with ``retry_after_s``: nobody was done in time.
    """
    if not _hashing.acquire(timeout=PATIENCE_S):
        raise TooManyRequests(
            "Too many passwords are being checked. Try again in a moment.", code="too-many-at-once", retry_after_s=1
        )
    try:
        yield
    finally:
        _hashing.release()


def needs_rehash(kept: str, settings: Mapping[str, Any]) -> bool:
    """Say whether the hash was made with other parameters than the present ones."""
    return _hasher(settings).check_needs_rehash(kept)


def _encoded(password: str) -> bytes:
    # One key press may send a letter with its accent as one character or as two.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _hasher(settings: Mapping[str, Any]) -> PasswordHasher:
    return _hasher_of(settings[MEMORY_KIB], settings[ROUNDS])


@cache
def _hasher_of(memory_kib: int, rounds: int) -> PasswordHasher:
    return PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1, type=Type.ID)
