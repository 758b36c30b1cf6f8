"""Tables that refuse to be changed, whoever asks; for revisions, which call these two and nothing else of ours."""


def append_only(table: str) -> None:
    """Make a table refuse UPDATE and DELETE, and TRUNCATE where there is one; for ``upgrade``."""
    _execute(table, _TO_REFUSE)


def allow_changes(table: str) -> None:
    """Undo :func:`append_only`; for ``downgrade``, before the table is dropped."""
    _execute(table, _TO_ALLOW)


_TO_REFUSE = {
    "postgresql": (
        "CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()",
    ),
    "sqlite": tuple(
        f"CREATE TRIGGER {{table}}_no_{event.lower()} BEFORE {event} ON {{table}}"
        " BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for event in ("UPDATE", "DELETE")
    ),
}
_TO_ALLOW = {
    "postgresql": ("DROP FUNCTION {table}_append_only() CASCADE",),
    "sqlite": ("DROP TRIGGER {table}_no_update", "DROP TRIGGER {table}_no_delete"),
}


def _execute(table: str, statements: dict[str, tuple[str, ...]]) -> None:
    from alembic import op  # only whoever migrates needs it

    for statement in statements[op.get_bind().dialect.name]:
        op.execute(statement.format(table=table))
