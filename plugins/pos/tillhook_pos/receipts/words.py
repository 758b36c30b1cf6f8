"""Texts that people wrote, made fit for paper."""

import unicodedata

#: Joiners, without which some scripts cannot be written right, and signs that stand before Arabic numbers.
_WANTED_FORMATS = frozenset("\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd")
_LINE_ENDS = frozenset("\n\r\v\f\x85\u2028\u2029")


def clean(text: str) -> str:
    """Return the text as one line: without control characters, and without marks that change its direction."""
    return " ".join("".join(map(_printable, unicodedata.normalize("NFC", text))).split(" ")).strip()


def clean_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text of several, cleaned; empty ones at both ends are left out."""
    lines = [clean(line) for line in text.splitlines()]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return tuple(lines)


def _printable(char: str) -> str:
    if char in _LINE_ENDS or char == "\t":
        return " "
    category = unicodedata.category(char)
    if category in ("Cc", "Cs") or (category == "Cf" and char not in _WANTED_FORMATS):
        return ""
    return char
