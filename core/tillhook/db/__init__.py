"""Engines, transactions, column types and migrations; what a plugin's ``models.py`` builds on."""

from tillhook.db.among import among
from tillhook.db.base import Base, IdMixin, TimestampMixin
from tillhook.db.bulk import WriteBatch, fetch, insert_rows
from tillhook.db.folding import fold, folded
from tillhook.db.session import Database, is_retryable, is_unavailable, retrying
from tillhook.db.types import Exact, Id, Instant, Json, as_instant, exact_checks, format_instant, partial_index, utc_now
from tillhook.db.writer import RetryTransaction, begin_writing

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
    "begin_writing",
    "exact_checks",
    "fetch",
    "fold",
    "folded",
    "format_instant",
    "insert_rows",
    "is_retryable",
    "is_unavailable",
    "partial_index",
    "retrying",
    "utc_now",
]
