"""How a generated revision is written: plain SQLAlchemy, and of this program the append-only triggers alone.

A revision must mean the same for ever, and the program changes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    CreateIndexOp,
    CreateTableOp,
    MigrateOperation,
    MigrationScript,
    OpContainer,
)
from sqlalchemy import BigInteger
from sqlalchemy.dialects.postgresql import JSONB

from tillhook.db.base import Base
from tillhook.db.types import Exact, Instant


def render_type(kind: str, item: Any, context: AutogenContext) -> str | Literal[False]:
    """Return the plain type behind one of ``tillhook.db.types``; false leaves a type to Alembic."""
    if kind != "type":
        return False
    if isinstance(item, Exact):
        return "sa.BigInteger()"
    if isinstance(item, Instant):
        return 'sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite")'
    variants = getattr(item, "_variant_mapping", {})
    if isinstance(variants.get("postgresql"), JSONB):
        context.imports.add("from sqlalchemy.dialects import postgresql")
        return 'sa.JSON().with_variant(postgresql.JSONB(), "postgresql")'
    if isinstance(item, BigInteger) and "sqlite" in variants:
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    return False


class TriggersOp(MigrateOperation):
    """A call of one of the two functions of ``tillhook.db.triggers``."""

    def __init__(self, function: str, table: str) -> None:
        self.function, self.table = function, table

    def to_diff_tuple(self) -> tuple[str, str]:
        return (self.function, self.table)


def complete(_context: Any, _revision: Any, directives: Sequence[MigrationScript]) -> None:
    """Add to each new table what comparing on SQLite leaves out.

    That is: its indexes on expressions, which SQLAlchemy cannot read back there and Alembic therefore skips,
    and the triggers of a class that says ``__append_only__ = True``.
    """
    for directive in directives:
        operations, undoing = directive.upgrade_ops, directive.downgrade_ops
        if operations is None or undoing is None:
            continue
        there = {op.index_name for op in _flat(operations.ops) if isinstance(op, CreateIndexOp)}
        for name in [op.table_name for op in operations.ops if isinstance(op, CreateTableOp)]:
            table = Base.metadata.tables[name]
            missing = [index for index in table.indexes if index.name not in there]
            operations.ops.extend(
                CreateIndexOp.from_index(index) for index in sorted(missing, key=lambda index: str(index.name))
            )
            if name in _append_only_tables():
                operations.ops.append(TriggersOp("append_only", name))
                undoing.ops.insert(0, TriggersOp("allow_changes", name))


def _flat(operations: Sequence[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, OpContainer):
            yield from _flat(operation.ops)
        else:
            yield operation


def _append_only_tables() -> set[str]:
    return {
        str(mapper.class_.__tablename__)
        for mapper in Base.registry.mappers
        if getattr(mapper.class_, "__append_only__", False)
    }


@renderers.dispatch_for(TriggersOp)
def _render_triggers(context: AutogenContext, operation: TriggersOp) -> str:
    context.imports.add("from tillhook.db import allow_changes, append_only")
    return f'{operation.function}("{operation.table}")'
