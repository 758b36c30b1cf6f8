"""How much of its tables a database reads to answer a request, which says more than a small table's speed.

PostgreSQL counts the rows that each step of a plan reads, SQLite the instructions that a statement takes; both are the
same on a busy machine.
"""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, event

#: SQLite's instructions for one row of a scan, about; and how many pass between two calls of the counter.
_PER_ROW, _STEP = 10, 100
_READING = re.compile(r"\s*(SELECT|WITH\b(?!.*\b(INSERT|UPDATE|DELETE)\b))", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Reading:
    """A statement that was run, the rows that the database read for it, about, and how it went about it."""

    statement: str
    rows: int
    plan: str


@contextlib.contextmanager
def readings(engine: Engine, *, as_if_large: bool = False) -> Iterator[list[Reading]]:
    """Collect what the queries within read; each runs once more for that, and statements that write are left out.

    Args:
        as_if_large: Have PostgreSQL go from row to row by indexes where it can, though to read all of a small table
            is quicker.
    """
    found: list[Reading] = []
    examine = _examine_postgresql if engine.dialect.name == "postgresql" else _examine_sqlite

    def before(connection: Connection, cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        if not many and _READING.match(statement):
            if as_if_large and connection.dialect.name == "postgresql":
                for way in ("seqscan", "bitmapscan", "hashjoin", "mergejoin"):
                    cursor.execute(f"SET LOCAL enable_{way} = off")
            found.append(Reading(statement, *examine(cursor, statement, parameters)))

    event.listen(engine, "before_cursor_execute", before)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", before)


def _examine_postgresql(cursor: Any, statement: str, parameters: Any) -> tuple[int, str]:
    cursor.execute(
        f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF, FORMAT JSON) {statement}", parameters
    )
    plan = cursor.fetchone()[0][0]["Plan"]
    steps: list[str] = []
    rows = _rows_read(plan, 0, steps)
    return rows, "\n".join(steps)


def _rows_read(node: dict[str, Any], depth: int, steps: list[str]) -> int:
    """Return how many rows the scans of a plan read, or blocks where those are more; describe each step."""
    removed = sum(value for key, value in node.items() if key.startswith("Rows Removed by"))
    rows = int((node["Actual Rows"] + removed) * node["Actual Loops"])
    place = node.get("Index Name") or node.get("Relation Name") or ""
    condition = next((str(node[key]) for key in ("Index Cond", "Recheck Cond", "Filter") if key in node), "")
    steps.append(f"{'  ' * depth}{node['Node Type']} {place} {rows} rows {condition}"[:240].rstrip())
    below = sum(_rows_read(child, depth + 1, steps) for child in node.get("Plans", ()))
    is_scan = "Index Name" in node or "Relation Name" in node
    blocks = int(node.get("Shared Hit Blocks", 0) + node.get("Shared Read Blocks", 0)) if depth == 0 else 0
    return max(below + (rows if is_scan else 0), blocks)


def _examine_sqlite(cursor: Any, statement: str, parameters: Any) -> tuple[int, str]:
    cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
    plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
    calls = [0]

    def count() -> int:
        calls[0] += 1
        return 0

    cursor.connection.set_progress_handler(count, _STEP)
    try:
        cursor.execute(statement, parameters)
        cursor.fetchall()
    finally:
        cursor.connection.set_progress_handler(None, _STEP)
    return calls[0] * _STEP // _PER_ROW, plan
