"""Engines, transactions, column types and migrations; what a plugin's ``models.py`` builds on."""

from tillhook.db.among import among, grouped
from tillhook.db.base import Base, IdMixin, TimestampMixin
from tillhook.db.bulk import WriteBatch, fetch, insert_rows
from tillhook.db.folding import containing, fold, folded
from tillhook.db.session import Database, RetryTransaction, is_retryable, is_unavailable, retrying
from tillhook.db.types import Exact, Id, Instant, Json, as_instant, exact_checks, format_instant, partial_index, utc_now

__all__ = [
    "Base",
    "Database",
    "Exact",
    "Id",
    "IdMixin",
    "Instant",
    "Json",
    "RetryTransaction",
    "TimestampMixin",
    "WriteBatch",
    "among",
    "as_instant",
    "containing",
    "exact_checks",
    "fetch",
    "fold",
    "folded",
    "format_instant",
    "grouped",
    "insert_rows",
    "is_retryable",
    "is_unavailable",
    "partial_index",
    "retrying",
    "utc_now",
]
