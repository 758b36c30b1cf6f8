"""What goes through the pipeline: one entry per sale, and what the sales of one run share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from tillhook.actor import Actor
from tillhook.db import utc_now
from tillhook.errors import DomainError
from tillhook.hooks import HookManager
from tillhook.reference import Snapshot
from tillhook.runtime import actor_of, runtime_of, snapshot_of
from tillhook.sales.commands import SaleCommand, body_digest
from tillhook.sales.drafts import Origin, SaleDraft
from tillhook.sales.outcomes import Outcome
from tillhook.sales.rows import DocumentRows


@dataclass(frozen=True, slots=True)
class Run:
    """What the sales of one run have in common; ``is_quote``: nothing is written, locked or used up."""

    session: Session
    actor: Actor
    snapshot: Snapshot
    hooks: HookManager
    recorded_at: datetime
    is_offline: bool = False
    is_quote: bool = False

    @property
    def is_watched(self) -> bool:
        """Whether a hook sees the drafts."""
        return self.hooks.implemented("validate_sale") or self.hooks.implemented("sales_writing")


@dataclass(slots=True)
class Entry:
    """One sale on its way into the journal; each stage fills in what it finds, or an outcome that ends its way.

    ``sent`` is the command as it came, ``command`` with what was found for it. ``duplicate_of`` is the key of the sale
    that it repeats, ``repeats`` the position of the entry that it repeats. ``line_ids`` are for what is sold, then for
    what comes back.
    """

    position: int
    sent: SaleCommand
    command: SaleCommand
    fingerprint: str | None = None
    sale_id: int = 0
    line_ids: tuple[int, ...] = ()
    was_refused: bool = False
    is_awaited: bool = False
    duplicate_of: int | None = None
    repeats: int | None = None
    origin: Origin | None = None
    draft: SaleDraft | None = None
    rows: DocumentRows | None = None
    outcome: Outcome | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is still to be posted."""
        return self.outcome is None and self.duplicate_of is None and self.repeats is None

    @property
    def drafted(self) -> SaleDraft:
        """The draft of an entry that has been prepared."""
        assert self.draft is not None
        return self.draft

    def body_digest(self, seller_id: int | None) -> str | None:
        """Return the digest of the body as it was sent; ``None`` where no ``external_id`` asks for it."""
        if self.sent.sent_as is not None:
            return self.sent.sent_as[1]
        return body_digest(self.sent.request, seller_id) if self.sent.external_id else None


def new_run(session: Session, *, is_offline: bool = False, is_quote: bool = False) -> Run:
    """Return what the sales of one run have in common."""
    return Run(
        session, actor_of(session), snapshot_of(session), runtime_of(session).hooks, utc_now(), is_offline, is_quote
    )


def each(entries: Iterable[Entry], step: Callable[[Entry], None]) -> None:
    """Have every open entry take a step; an error refuses the one that it meets."""
    for entry in entries:
        if entry.is_open:
            try:
                step(entry)
            except DomainError as error:
                entry.outcome = Outcome("rejected", error=error)
