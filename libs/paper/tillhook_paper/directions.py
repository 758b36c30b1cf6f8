"""The order in which a line of mixed directions is written, by python-bidi (the Unicode bidirectional algorithm).

It answers with the characters in that order, and HarfBuzz wants stretches of the text in the order in which it is read.
So each character is followed by its number, written in characters that the algorithm carries along and does not heed.

Embeddings and isolates never get here: :func:`tillhook_paper.clean` takes their characters out of every text, so that
nobody's name can turn round what is printed beside it.
"""

import unicodedata
from collections.abc import Iterator
from itertools import product

from bidi import get_base_level, get_display

#: The digits of the numbers: Unicode's tags, which are boundary-neutral and never in a cleaned text.
_TAGS = {chr(0xE0020 + digit): digit for digit in range(96)}
_DIGITS = 3
#: A letter of each base direction. At the end it changes nothing, and the last number stays with its character: at the
#: end of a line it would go where blanks go.
_LETTERS = ("a", "\u05d0")
_RIGHT_TO_LEFT = frozenset(("R", "AL", "AN"))


def stretches(text: str) -> list[tuple[str, bool]]:
    """Return the stretches of a cleaned text from left to right, and whether each is written from right to left.

    Each stretch is in the order in which it is read. The direction of the whole is that of its first letter.
    """
    if text.isascii() or _RIGHT_TO_LEFT.isdisjoint(map(unicodedata.bidirectional, text)):
        return [(text, False)] if text else []
    found: list[tuple[str, bool]] = []
    last = None
    for index, is_right_to_left in _places(text):
        joins = last == (index + 1 if is_right_to_left else index - 1, is_right_to_left)
        before = found.pop()[0] if joins else ""
        char = text[index]
        found.append((char + before if is_right_to_left else before + char, is_right_to_left))
        last = (index, is_right_to_left)
    return found


def _places(text: str) -> Iterator[tuple[int, bool]]:
    """Yield the index of each character from left to right, and whether its level is one from right to left."""
    numbers = product(_TAGS, repeat=_DIGITS)
    base = get_base_level(text)
    numbered = "".join(f"{char}{''.join(number)}" for char, number in zip(text, numbers, strict=False))
    shown = get_display(numbered + _LETTERS[base])
    shown = shown[1:] if base else shown[:-1]
    size = 1 + _DIGITS
    for start in range(0, len(shown), size):
        part = shown[start : start + size]
        is_right_to_left = part[0] in _TAGS
        if is_right_to_left:
            part = part[::-1]
        index = 0
        for tag in part[1:]:
            index = index * len(_TAGS) + _TAGS[tag]
        yield index, is_right_to_left
