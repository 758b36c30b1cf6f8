"""Codes: readable, checked, and not to be guessed."""

import re

import pytest

from tillhook_vouchers.codes import ALPHABET, is_mistyped, masked, new_code, normal, shown


def test_a_new_code_is_long_and_without_look_alikes():
    codes = {new_code() for _ in range(500)}
    assert len(codes) == 500
    for code in codes:
        assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}", code)
        assert not is_mistyped(normal(code))
    # Fifteen characters that are anything: 75 bits.
    assert all(len({code[place] for code in map(normal, codes)}) > 20 for place in range(15))


def test_any_wrong_character_is_known_and_swapped_neighbours_are():
    code = normal(new_code())
    for place, char in enumerate(code):
        for other in set(ALPHABET) - {char}:
            assert is_mistyped(code[:place] + other + code[place + 1 :])
    swapped = [code[:n] + code[n + 1] + code[n] + code[n + 2 :] for n in range(15) if code[n] != code[n + 1]]
    # Luhn does not see 0 and its last letter change places, nothing else.
    missed = [each for each in swapped if not is_mistyped(each)]
    assert len(missed) <= code.count("0Z") + code.count("Z0")


@pytest.mark.parametrize(
    "typed", ["0123-4567-89AB-CDEF", "0123 4567 89ab cdef", "OI23456789ABCDEF", " o-l23.4567_89abcdef"]
)
def test_a_code_is_typed_in_any_way(typed):
    assert normal(typed) == "0123456789ABCDEF" and shown(normal(typed)) == "0123-4567-89AB-CDEF"
    assert masked(typed) == "…CDEF"
