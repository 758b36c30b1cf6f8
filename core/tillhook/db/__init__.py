"""Engines, transactions, column types and migrations; what a plugin's ``models.py`` builds on."""

from tillhook.db.among import among, grouped
from tillhook.db.base import Base, IdMixin, TimestampMixin
from tillhook.db.bulk import Statement, WriteBatch, array_text, fetch, fetch_with_row, insert_rows
from tillhook.db.dialects import database_now, day_number, insert_or, set_limits, wait_in_line, without_limits
from tillhook.db.filelock import DatabaseBusy, Holder
from tillhook.db.folding import containing, fold, folded
from tillhook.db.keys import keys_sql, next_keys
from tillhook.db.locks import AdvisoryLock, advisory_lock, lock_table
from tillhook.db.records import json_records, records
from tillhook.db.session import (
    Database,
    GaveWay,
    OutcomeUnknown,
    is_lock_timeout,
    is_read_only,
    is_retryable,
    is_unavailable,
    retrying,
)
from tillhook.db.triggers import allow_changes, append_only
from tillhook.db.types import (
    Exact,
    Id,
    Instant,
    Json,
    NullableJson,
    as_instant,
    exact_checks,
    format_instant,
    partial_index,
    utc_now,
)
from tillhook.db.writer import RetryTransaction, begin_writing

__all__ = [
    "AdvisoryLock",
    "Base",
    "Database",
    "DatabaseBusy",
    "Exact",
    "GaveWay",
    "Holder",
    "Id",
    "IdMixin",
    "Instant",
    "Json",
    "NullableJson",
    "OutcomeUnknown",
    "RetryTransaction",
    "Statement",
    "TimestampMixin",
    "WriteBatch",
    "advisory_lock",
    "allow_changes",
    "among",
    "append_only",
    "array_text",
    "as_instant",
    "begin_writing",
    "containing",
    "database_now",
    "day_number",
    "exact_checks",
    "fetch",
    "fetch_with_row",
    "fold",
    "folded",
    "format_instant",
    "grouped",
    "insert_or",
    "insert_rows",
    "is_lock_timeout",
    "is_read_only",
    "is_retryable",
    "is_unavailable",
    "json_records",
    "keys_sql",
    "lock_table",
    "next_keys",
    "partial_index",
    "records",
    "retrying",
    "set_limits",
    "utc_now",
    "wait_in_line",
    "without_limits",
]
