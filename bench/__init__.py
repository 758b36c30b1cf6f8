"""Measurements: ``bin/bench NAME [--json]``. What they need, a PostgreSQL too, they start themselves."""
