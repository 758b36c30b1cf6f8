"""Codes of vouchers: made so that nobody guesses them, and read so that they may be typed in any way.

A code of ours has 15 random characters of an alphabet of 32, which are 75 bits, and one that checks them. Letters that
look like digits are read as these, so a shop's own printed code must not rest on that difference.
"""

import secrets

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 16
_GROUP = 4
_LOOK_ALIKES = str.maketrans("OIL", "011")


def new_code() -> str:
    """Return a code that nobody can guess, in groups of four."""
    characters = "".join(secrets.choice(ALPHABET) for _ in range(_LENGTH - 1))
    return shown(characters + _check_character(characters))


def normal(typed: str) -> str:
    """Return what equal codes have in common, however they are typed; empty for what has no letter and no digit."""
    return "".join(char for char in typed.upper() if char.isascii() and char.isalnum()).translate(_LOOK_ALIKES)


def shown(code: str) -> str:
    """Return a code in groups of four."""
    return "-".join(code[start : start + _GROUP] for start in range(0, len(code), _GROUP))


def masked(code: str) -> str:
    """Return a code of which only the end can be read."""
    return f"…{normal(code)[-_GROUP:]}"


def is_mistyped(code: str) -> bool:
    """Say whether a normal code has the form of ours and its check character is wrong."""
    return len(code) == _LENGTH and set(code) <= set(ALPHABET) and _check_character(code[:-1]) != code[-1]


def unknown_code(code: str) -> tuple[str, str]:
    """Return slug and message of the problem that a code is none."""
    if is_mistyped(normal(code)):
        return "vouchers-code-mistyped", "This code is mistyped: its last character does not fit the others."
    return "vouchers-unknown-code", "There is no voucher of this code."


def _check_character(characters: str) -> str:
    """Return the character after Luhn, modulo 32: one wrong character or two swapped neighbours do not fit it."""
    size, total = len(ALPHABET), 0
    for number, char in enumerate(reversed(characters)):
        value = ALPHABET.index(char) * (1 if number % 2 else 2)
        total += value // size + value % size
    return ALPHABET[-total % size]
