"""Passwords: their rules, hashing with Argon2id, checking in a time that betrays nothing.

Hashing takes its time on purpose. On SQLite there is one writer at a time, so what anybody may call from
outside (log-in, registration) hashes before the transaction that writes.
"""

import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

from tillhook.errors import ValidationFailed

MIN_LENGTH = 8
MAX_LENGTH = 128
#: Settings of the cost. The defaults are those of the OWASP Password Storage Cheat Sheet for Argon2id.
MEMORY_KIB, ROUNDS = "access.password_memory_kib", "access.password_rounds"


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


def verify_password(password: str, kept: str | None, settings: Mapping[str, Any]) -> bool:
    """Say whether ``password`` is the one that was hashed.

    Args:
        kept: ``None`` when there is no such account; it takes as long as a wrong password, and is one.
    """
    hasher = _hasher(settings)
    # Made, once, also when it is not needed: the first answer betrays no more than later ones.
    decoy = _decoy(hasher)
    try:
        hasher.verify(kept or decoy, _encoded(password))
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


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


@cache
def _decoy(hasher: PasswordHasher) -> str:
    return hasher.hash(b"nobody's password")
