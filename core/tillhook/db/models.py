"""Every table of the core, so that ``Base.metadata`` is complete."""

import importlib

# Named, not imported: the database layer is below the packages that own the tables.
for _area in (
    "access",
    "catalogue",
    "events",
    "http",
    "ledger",
    "modules",
    "numbering",
    "parties",
    "reference",
    "sales",
):
    importlib.import_module(f"tillhook.{_area}.models")
