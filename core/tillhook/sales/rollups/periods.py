"""How a range of days is put together from a few periods."""

import itertools
from datetime import date
from typing import NamedTuple

#: Days of the periods for which sales by product are summed.
LENGTHS = (1, 4, 16, 64, 256, 1024)
#: The "length" of rows of single days that no period has yet, not even that of the day.
FRESH = -1


class Period(NamedTuple):
    """``length`` days from ``first_day`` (a day's number) on; ``sign`` is -1 when they are to be taken off."""

    length: int
    first_day: int
    sign: int


def cover(first: date, last: date) -> list[Period]:
    """Return periods whose sum is the days from ``first`` to ``last``.

    Both ends move to the next multiple of the longer length, whichever is nearer, so that a length takes at most four
    periods: a year is about ten, ten years are about fifteen.
    """
    periods: list[Period] = []
    start, stop = first.toordinal(), last.toordinal() + 1

    def add(begin: int, end: int, length: int, sign: int = 1) -> None:
        periods.extend(Period(length, number, sign) for number in range(begin, end, length))

    for length, longer in itertools.pairwise(LENGTHS):
        if stop - start <= 3 * length:
            add(start, stop, length)
            return periods
        over = start % longer
        if over == length:
            start -= over
            add(start, start + over, length, sign=-1)
        elif over:
            add(start, start + longer - over, length)
            start += longer - over
        over = stop % longer
        if over == 3 * length:
            add(stop, stop + length, length, sign=-1)
            stop += length
        else:
            stop -= over
            add(stop, stop + over, length)
    add(start, stop, LENGTHS[-1])
    return periods
