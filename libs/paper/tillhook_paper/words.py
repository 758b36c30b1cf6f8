"""Texts that people wrote, made fit for paper."""

import unicodedata
from collections.abc import Callable

#: Joiners, without which some scripts cannot be written right, and signs that stand before Arabic numbers.
_WANTED_FORMATS = frozenset("\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd")
_LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")


def clean(text: str) -> str:
    """Return the text as one line: without control characters, and without marks that change its direction."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(map(_printable, unicodedata.normalize("NFC", text)))
    return text.strip()


def clean_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text of several, cleaned; empty ones at both ends are left out."""
    lines = [clean(line) for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return tuple(lines)


def wrap(text: str, limit: float, measure: Callable[[str], float]) -> list[str]:
    """Return the text in lines no wider than ``limit``, broken at its line ends, at blanks, and inside a long word.

    Args:
        measure: Says how wide a cleaned text is.
    """
    return [part for line in clean_lines(text) for part in _wrap_line(line, limit, measure)] or [""]


def _wrap_line(text: str, limit: float, measure: Callable[[str], float]) -> list[str]:
    if measure(text) <= limit:
        return [text]
    lines, current = [], ""
    for word in text.split(" "):
        candidate = f"{current} {word}" if current else word
        if measure(candidate) <= limit:
            current = candidate
            continue
        if current:
            lines.append(current)
        *whole, current = _break_word(word, limit, measure)
        lines += whole
    return [*lines, current] if current else lines


def _break_word(word: str, limit: float, measure: Callable[[str], float]) -> list[str]:
    if measure(word) <= limit:
        return [word]
    pieces, current = [], ""
    for cluster in clusters(word):
        if current and measure(current + cluster) > limit:
            pieces.append(current)
            current = ""
        current += cluster
    return [*pieces, current]


def clusters(text: str) -> list[str]:
    """Return the text in letters, each with the marks that belong to it."""
    found: list[str] = []
    for char in text:
        joined = found and (unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or _joins_next(found[-1]))
        if joined:
            found[-1] += char
        else:
            found.append(char)
    return found


def _joins_next(cluster: str) -> bool:
    """Say whether the next letter belongs to this one: after a joiner, and after the virama of a conjunct."""
    return cluster[-1] == "\u200d" or unicodedata.combining(cluster[-1]) == 9


def _printable(char: str) -> str:
    if char in _LINE_ENDS or char == "\t":
        return " "
    category = unicodedata.category(char)
    if category in ("Cc", "Cs") or (category == "Cf" and char not in _WANTED_FORMATS):
        return ""
    return char
