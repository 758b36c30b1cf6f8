"""What a request of ``bin/bench reads`` is, and what it may cost."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Read:
    """A request that is to cost the same however many sales there were.

    Args:
        path: With the query; ``{day}`` and such stand for what differs by business: ``first``, ``day`` (in the
            middle), ``month`` (30 days before that), ``last_month`` and ``last`` (days), ``middle`` (a sale's
            key), ``newest`` (an event's), ``number``, ``digits`` (its end) and ``external_id`` of the middle sale,
            ``rare_`` and ``frequent_`` ``customer`` and ``product``, ``rare_warehouse``, ``rare_batch``, ``origin``
            (the key of a sale of which something came back), ``products`` (how many), ``cursor``.
        person: A role: ``admin`` sees all, ``cashier`` the own sales in the first warehouse, a tenth of all, and
            ``supplier`` likewise, 20 old ones.
        cursor: Where ``{cursor}`` goes on, as a list's cursor holds it: ordering, value, keys; text is filled in.
        body: Posted, with the same names in its texts.
        p95_ms: For the many sales.
        ratio: What the many sales may take, as a multiple of the few.
        rows: What the database may read for a statement, about.
    """

    name: str
    path: str
    person: str = "admin"
    method: str = "GET"
    body: Mapping[str, Any] | None = None
    cursor: tuple[Any, ...] = ()
    p95_ms: float = 100
    ratio: float = 2
    rows: int = 6_000

    def filled(self, facts: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return path and body with the facts of a business in their places."""
        place = [_fill(each, facts) for each in self.cursor]
        cursor = base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).rstrip(b"=").decode()
        body = None if self.body is None else {name: _fill(each, facts) for name, each in self.body.items()}
        return self.path.format(cursor=cursor, **facts), body


def _fill(value: Any, facts: Mapping[str, Any]) -> Any:
    """Return a text with the facts in their places, as a whole number if it is nothing but one; else the value."""
    if not isinstance(value, str):
        return value
    text = value.format(**facts)
    return int(text) if text.isdigit() else text
