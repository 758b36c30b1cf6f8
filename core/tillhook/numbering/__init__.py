"""Numbers of documents: gapless series, and numbers of sales that need no lock."""

from datetime import date
from functools import lru_cache

from sqlalchemy import text
from sqlalchemy.orm import Session

from tillhook.numbering.models import NumberSeries

__all__ = ["NumberSeries", "format_number", "next_number", "sale_number"]


def next_number(session: Session, series: str) -> int:
    """Return the next number of a gapless series, from 1.

    The series' row stays locked until the transaction ends, and a rollback gives the number back; call it as
    late as possible.
    """
    row = session.execute(
        text(
            "INSERT INTO number_series (name, last) VALUES (:name, 1)"
            " ON CONFLICT (name) DO UPDATE SET last = number_series.last + 1 RETURNING last"
        ),
        {"name": series},
    ).one()
    return int(row.last)


def format_number(pattern: str, number: int, on: date) -> str:
    """Return the number as text by a pattern such as ``"INV{yy}{mm}{seq:04d}"``.

    Known fields are ``yyyy``, ``yy``, ``mm``, ``dd`` and ``seq``.
    """
    return pattern.format(yyyy=f"{on:%Y}", yy=f"{on:%y}", mm=f"{on:%m}", dd=f"{on:%d}", seq=number)


def sale_number(prefix: str, recorded_on: date, sale_id: int) -> str:
    """Return prefix + yymmdd + seven digits, unique without any lock.

    The digits are the sale's key modulo ten million, and the day is the day of recording: two sales could
    share a number only if one day recorded ten million sales.
    """
    return f"{prefix}{_digits(recorded_on)}{sale_id % 10_000_000:07d}"


@lru_cache(maxsize=16)
def _digits(day: date) -> str:
    return f"{day:%y%m%d}"
