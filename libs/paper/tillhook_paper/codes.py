"""Bars and squares, as the modules that are black."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import segno
from barcode import Code128

#: Longer contents are even enough that the choice of a mask, most of the work, makes no difference.
_LONG_CODE = 120


@lru_cache(maxsize=256)
def code128(text: str) -> tuple[int, ...]:
    """Return the modules of a Code 128, 1 for black."""
    return tuple(int(module) for module in Code128(text).build()[0])


@lru_cache(maxsize=256)
def qr_matrix(text: str) -> tuple[tuple[int, ...], ...]:
    """Return the modules of a QR code, 1 for black, without the white around it."""
    options: dict[str, Any] = {"error": "M", "boost_error": False}
    if len(text) > _LONG_CODE:
        options |= {"error": "L", "mask": 0}
    return tuple(tuple(line) for line in segno.make_qr(text, **options).matrix)


def runs_of(modules: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the start and the length of each stretch of black modules."""
    start = None
    for index, is_black in enumerate((*modules, 0)):
        if is_black and start is None:
            start = index
        elif not is_black and start is not None:
            yield start, index - start
            start = None
