"""Statements that are compiled once for all tests, which spent a third of their time on that."""

from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

#: Statements that are kept; those of all tests are some two thousand.
_KEPT = 10_000


class Compiled:
    """Lets every engine of a kind go by the first one's dialect, under which SQLAlchemy keeps compiled statements."""

    def __init__(self) -> None:
        self._first: dict[str, Engine] = {}

    def share(self, engine: Engine) -> None:
        """Give the engine, which has not been used yet, what the engines before it have compiled."""
        first = self._first.setdefault(engine.name, engine)
        if first is engine:
            engine._compiled_cache = LRUCache(_KEPT)
            return
        engine.dialect = first.dialect
        engine._compiled_cache = first._compiled_cache
