"""What an area's or a plugin's ``schemas.py`` and ``routes.py`` are written with.

The application itself is :func:`tillhook.server.app.create_app`.
"""

from tillhook.http import out
from tillhook.http.answers import Answer, page_of
from tillhook.http.call import Call, Preparation, Reply, Upload
from tillhook.http.paging import narrowed, page
from tillhook.http.parsing import UnusablePart, parse_json
from tillhook.http.problems import validation_failed
from tillhook.http.routes import Routes
from tillhook.http.schemas import (
    Amount,
    Attributes,
    Choice,
    Day,
    Email,
    Flag,
    Instant,
    Key,
    ListOf,
    ListQuery,
    Nested,
    Ordering,
    Quantity,
    QuerySchema,
    Schema,
    Text,
    Whole,
    at_most_one,
    exactly_one,
    given,
)

__all__ = [
    "Amount",
    "Answer",
    "Attributes",
    "Call",
    "Choice",
    "Day",
    "Email",
    "Flag",
    "Instant",
    "Key",
    "ListOf",
    "ListQuery",
    "Nested",
    "Ordering",
    "Preparation",
    "Quantity",
    "QuerySchema",
    "Reply",
    "Routes",
    "Schema",
    "Text",
    "UnusablePart",
    "Upload",
    "Whole",
    "at_most_one",
    "exactly_one",
    "given",
    "narrowed",
    "out",
    "page",
    "page_of",
    "parse_json",
    "validation_failed",
]
