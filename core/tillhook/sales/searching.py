"""Finding sales by number, and by their customers' names and phones.

A number is found by its beginning, or by its end, which is the sale's key. Names and phones are found by any part of
them, among ``sale_name``, which has each once; the documents that are not counted yet are looked through.
"""

import re

from sqlalchemy import ColumnElement, and_, func, join, or_, select, union_all
from sqlalchemy.orm import Session

from tillhook.db import among, containing, fold
from tillhook.sales.models import IS_NAMED, Sale, SaleName
from tillhook.sales.rollups.models import UncountedSale

#: At the end of a number, see ``tillhook.numbering.sale_number``.
_DIGITS_OF_KEY = re.compile(r"[0-9]{1,7}\Z", re.ASCII)


def is_found(search: str) -> ColumnElement[bool]:
    """Return the condition on a row of ``sale``."""
    return or_(has_number(search), _has_name(search))


def has_number(search: str) -> ColumnElement[bool]:
    """Return the condition that a row of ``sale`` is found by its number."""
    return or_(_begins(search), _ends(search))


def found_keys(session: Session, search: str, most: int) -> set[int] | None:
    """Return the keys of what is found, ``None`` when it is more than ``most`` or would take to try as many."""
    parts = [select(Sale.id).where(_begins(search))]
    digits = _DIGITS_OF_KEY.search(search)
    if digits is not None:
        newest = session.scalar(select(func.max(Sale.id))) or 0
        step = 10 ** len(digits[0])
        if newest // step >= most:
            return None
        possible = list(range(int(digits[0]), newest + 1, step))
        parts.append(select(Sale.id).where(among(Sale.id, possible), _ends(search)))
    # Nothing here lets the database begin with the sales.
    name, phone = (func.coalesce(column, "") for column in (SaleName.name, SaleName.phone))
    is_same = and_(Sale.customer_name == name, Sale.customer_phone == phone, IS_NAMED)
    known = SaleName.search_text.contains(fold(search), autoescape=True)
    parts.append(select(Sale.id).join(SaleName, is_same).where(known))
    uncounted = join(UncountedSale, Sale, Sale.id == UncountedSale.sale_id + 0)
    parts.append(select(Sale.id).select_from(uncounted).where(_has_name(search)))
    found = list(session.scalars(union_all(*parts).limit(most + 1)))
    return set(found) if len(found) <= most else None


def _begins(search: str) -> ColumnElement[bool]:
    return or_(*(and_(Sale.sale_number >= each, Sale.sale_number < each + "\U0010ffff") for each in _written(search)))


def _ends(search: str) -> ColumnElement[bool]:
    return or_(*(Sale.sale_number.endswith(each, autoescape=True) for each in _written(search)))


def _written(search: str) -> list[str]:
    """Return how the number may be written: as it was typed, and with capital letters."""
    return sorted({search, search.upper()})


def _has_name(search: str) -> ColumnElement[bool]:
    return containing(search, Sale.customer_name, Sale.customer_phone)
