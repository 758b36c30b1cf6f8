"""Alembic's environment, the one of the core and of every plugin; ``tillhook.db.migrate`` runs it."""

from alembic import context

_attributes = context.config.attributes
context.configure(connection=_attributes["connection"], **_attributes["options"])
# The runner's transaction is already there, so this begins none.
context.run_migrations()
