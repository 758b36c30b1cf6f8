"""The rules and the hashing of passwords."""

import pytest

from tillhook.access.passwords import (
    MEMORY_KIB,
    ROUNDS,
    check_new_password,
    hash_password,
    needs_rehash,
    verify_password,
)
from tillhook.errors import ValidationFailed

CHEAP = {MEMORY_KIB: 8, ROUNDS: 1}
DEARER = {MEMORY_KIB: 16, ROUNDS: 1}


def test_only_the_password_itself_fits() -> None:
    kept = hash_password("correct horse", CHEAP)
    assert kept.startswith("$argon2id$") and "correct" not in kept
    assert verify_password("correct horse", kept, CHEAP)
    assert not verify_password("correct Horse", kept, CHEAP)
    assert not verify_password("", kept, CHEAP)


def test_no_account_is_a_wrong_password() -> None:
    assert not verify_password("nobody's password", None, CHEAP)


def test_a_broken_hash_fits_nothing() -> None:
    assert not verify_password("anything", "not a hash", CHEAP)


def test_accents_typed_in_two_ways_are_one_password() -> None:
    assert verify_password("cafe\u0301 au lait", hash_password("caf\u00e9 au lait", CHEAP), CHEAP)


def test_a_hash_of_other_parameters_fits_and_is_to_be_renewed() -> None:
    kept = hash_password("correct horse", CHEAP)
    assert not needs_rehash(kept, CHEAP)
    assert needs_rehash(kept, DEARER)
    assert verify_password("correct horse", kept, DEARER)


@pytest.mark.parametrize("password", ["", "1234567", "x" * 129, " " * 10, "anna@example.com", "ANNABELLA"])
def test_passwords_that_will_not_do(password: str) -> None:
    email = "annabella@example.com" if password == "ANNABELLA" else "anna@example.com"
    with pytest.raises(ValidationFailed) as caught:
        check_new_password(password, field="new_password", email=email)
    assert caught.value.errors[0]["field"] == "new_password"


@pytest.mark.parametrize("password", ["12345678", "x" * 128, "pässwörter"])
def test_passwords_that_will(password: str) -> None:
    check_new_password(password, email="anna@example.com")
