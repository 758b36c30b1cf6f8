"""Documents that change their mind: reversed as a whole, or restated line by line."""

from datetime import datetime

from sqlalchemy.orm import Session

from tillhook.errors import DomainError
from tillhook.ledger.posting.book import Draft, open_book
from tillhook.ledger.posting.history import History, net, read_history, undone_by
from tillhook.ledger.posting.issuing import keys_of, post_drafts, promised_to, wanted_of
from tillhook.ledger.posting.items import load_items
from tillhook.ledger.posting.locks import lock_documents
from tillhook.ledger.posting.planning import plan_lines
from tillhook.ledger.posting.undoing import give_back, reversal
from tillhook.ledger.posting.values import Alongside, AlreadyReversed, Document, Events, Issue, Issued, Movement
from tillhook.ledger.posting.writing import post
from tillhook.quantities import to_units


def reverse(
    session: Session,
    document: Document,
    by: Document,
    occurred_at: datetime,
    *,
    alongside: Alongside | None = None,
    events: Events | None = None,
) -> tuple[Movement, ...]:
    """Undo exactly what is left of what a document moved, its absorbing adjustments too, whatever is in stock.

    Args:
        by: The document that reverses it, which the movements are booked on.

    Raises:
        AlreadyReversed: 409 ``already-reversed``.
    """
    history = _locked_history(session, document)
    movements = tuple(reversal(history, document, by, occurred_at))
    post(session, Issued(by, movements, {}), alongside=alongside, events=events)
    return movements


def restate(
    session: Session, issue: Issue, *, alongside: Alongside | None = None, events: Events | None = None
) -> Issued:
    """Let a document's lines be these: move the difference only, by the stock policy.

    What is no longer taken comes back into the lots it was taken from. What the document had absorbed is undone
    first, so that the result is as if the lower quantity had been issued at first. A document that has
    moved nothing yet is issued.

    Returns:
        The difference; ``lots`` are of what is taken more.

    Raises:
        InsufficientStock: 409, naming every short line; ``requested`` is what it wants more.
        AlreadyReversed: 409 ``already-reversed``.
        Conflict: 409 ``goods-came-back``: more of a line has come back than would be left.
        ValidationFailed: 422: as for :func:`issue`.
    """
    if issue.returns:
        raise ValueError("a document that takes goods back is reversed, and not restated")
    history = _locked_history(session, issue.document)
    items = load_items(session, keys_of(issue))
    wanted = wanted_of(session, issue, items)
    if isinstance(wanted, DomainError):
        raise wanted
    book = open_book(session, ((issue.warehouse_id, each) for each in wanted), locked=True)
    suffix = _next_suffix(history, issue.document)
    draft = Draft(session, book, issue, suffix=suffix, promised=promised_to(session, issue))
    found = ((line, items.find(issue.warehouse_id, line.product_id, line.variant_id)) for line in issue.lines)
    # What is no longer tracked keeps what it moved when it was.
    held = give_back(draft, history, [(line, i.variant_id, to_units(line.quantity)) for line, i in found if i])
    more = [(each, to_units(each.line.quantity) - held[each.line.line]) for each in wanted]
    plan_lines(draft, [each.of(units) for each, units in more if units])
    post_drafts(session, [draft], items, alongside, events)
    return draft.issued()


def moved_by(session: Session, document: Document) -> tuple[Movement, ...]:
    """Return what a document has moved, less what was undone of it since; takes no lock."""
    return tuple(net(past) for past in read_history(session, [document]).of(document) if past.left)


def _locked_history(session: Session, document: Document) -> History:
    """Return what a document moved, nobody else undoing any of it meanwhile.

    Raises:
        AlreadyReversed: 409.
    """
    lock_documents(session, undone_by(session, document))
    history = read_history(session, [document])
    if history.is_reversed(document):
        raise AlreadyReversed("What this document moved was reversed before.")
    return history


def _next_suffix(history: History, document: Document) -> str:
    """Return how the effects of the next restatement end: ``.2`` for the first, nothing when nothing has moved."""
    endings = [past.movement.effect.rpartition(".")[2] for past in history.rows if past.movement.document == document]
    if not endings:
        return ""
    return f".{max((int(each) for each in endings if each.isdigit()), default=1) + 1}"
