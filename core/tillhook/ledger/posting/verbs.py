"""The verbs: each reads, locks, plans, writes, and tells whoever wants to know, in the caller's transaction."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from tillhook.db import WriteBatch
from tillhook.errors import DomainError, ValidationFailed
from tillhook.ledger.policy import policy_for
from tillhook.ledger.posting.effects import stock_changed
from tillhook.ledger.posting.history import History, net, read_history, undone_by
from tillhook.ledger.posting.items import Item, ItemKey, Items, load_items
from tillhook.ledger.posting.locks import lock_documents
from tillhook.ledger.posting.planning import Draft, NeedsLock, Wanted, enter, open_book, plan_lines
from tillhook.ledger.posting.promises import promises_to, release_rows
from tillhook.ledger.posting.undoing import give_back, plan_returns, reversal
from tillhook.ledger.posting.values import (
    Alongside,
    AlreadyReversed,
    Document,
    Events,
    InsufficientStock,
    Issue,
    Issued,
    IssueLine,
    LevelKey,
    Movement,
    Restock,
    ShortLine,
)
from tillhook.ledger.posting.writing import write_movements
from tillhook.quantities import to_units


def issue(
    session: Session,
    issue: Issue,
    *,
    items: Items | None = None,
    alongside: Alongside | None = None,
    events: Events | None = None,
) -> Issued:
    """Take a document's goods out of a warehouse, by the stock policy, and take back what it returns.

    Args:
        items: What :func:`load_items` returned for its lines, which saves reading them again.
        alongside: Rows that are written in the same statement.
        events: Events that are recorded with those of the stock.

    Raises:
        InsufficientStock: 409, naming every short line.
        ValidationFailed: 422: an unknown product, an unknown or expired lot.
        Conflict: 409 ``restocks-more-than-issued``.
        RetryTransaction: Another transaction came between; run this one again.
    """
    (result,) = issue_many(session, [issue], items=items, alongside=alongside, events=events)
    if isinstance(result, DomainError):
        raise result
    return result


def issue_many(
    session: Session,
    issues: Sequence[Issue],
    *,
    items: Items | None = None,
    alongside: Alongside | None = None,
    events: Events | None = None,
) -> list[Issued | DomainError]:
    """Post documents, each of which stands alone: one that cannot be posted is refused, and the others are posted.

    Args:
        items: What :func:`load_items` returned for all of their lines.
        alongside: Called once, with what can be posted, before any level is changed; not when nothing can.
        events: Called once, when all of that is written.

    Returns:
        For each, in the order asked, what it moved or why it was refused.

    Raises:
        RetryTransaction: Another transaction came between; run this one again.
        DomainError: A plugin vetoed the movements.
    """
    if items is None:
        items = load_items(session, (key for each in issues for key in _keys(each)))
    lock_documents(session, (line.origin for each in issues for line in each.returns))
    origins = {line.origin for each in issues for line in each.returns}
    history = read_history(session, origins) if origins else History(())
    wanted = [_wanted(session, each, items) for each in issues]
    try:
        locked = _needs_lock(session, issues, wanted)
        results = _plan_all(session, issues, wanted, history, locked=locked)
    except NeedsLock:
        results = _plan_all(session, issues, wanted, history, locked=True)
    drafts = [result for result in results if isinstance(result, Draft)]
    if drafts:
        _post(session, drafts, items, alongside, events)
    return [result.issued() if isinstance(result, Draft) else result for result in results]


def restock(
    session: Session, restock: Restock, *, alongside: Alongside | None = None, events: Events | None = None
) -> tuple[Movement, ...]:
    """Take goods back into the lots they were taken from, last taken first, or to scrap.

    Never more than the document's line issued less what came back before. Concurrent ones wait for each other.

    Raises:
        Conflict: 409 ``restocks-more-than-issued``.
    """
    back = Issue(
        document=restock.document,
        warehouse_id=restock.warehouse_id,
        occurred_at=restock.occurred_at,
        lines=(),
        returns=restock.lines,
        channel=restock.channel,
    )
    return issue(session, back, alongside=alongside, events=events).movements


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
    write(session, Issued(by, movements, {}), alongside=alongside, events=events)
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
    items = load_items(session, _keys(issue))
    wanted = _wanted(session, issue, items)
    if isinstance(wanted, DomainError):
        raise wanted
    book = open_book(session, ((issue.warehouse_id, each) for each in wanted), locked=True)
    draft = Draft(session, book, issue, suffix=_next_suffix(history, issue.document))
    found = ((line, items.find(issue.warehouse_id, line.product_id, line.variant_id)) for line in issue.lines)
    # What is no longer tracked keeps what it moved when it was.
    held = give_back(draft, history, [(line, i.variant_id, to_units(line.quantity)) for line, i in found if i])
    more = [(each, to_units(each.line.quantity) - held[each.line.line]) for each in wanted]
    plan_lines(draft, [each.of(units) for each, units in more if units])
    _post(session, [draft], items, alongside, events)
    return draft.issued()


def shortages(session: Session, issue: Issue, *, items: Items | None = None) -> tuple[ShortLine, ...]:
    """Return the lines for which a document would be refused, by what is in stock now; takes no lock, moves nothing."""
    items = load_items(session, _keys(issue)) if items is None else items
    wanted = _wanted(session, issue, items)
    if isinstance(wanted, DomainError):
        raise wanted
    blocked = [each for each in wanted if each.policy == "block"]
    book = open_book(session, ((issue.warehouse_id, each) for each in blocked), locked=False)
    # What was read is all there is to go by.
    book.is_locked = True
    try:
        plan_lines(Draft(session, book, issue), blocked)
    except InsufficientStock as error:
        return error.short
    return ()


def moved_by(session: Session, document: Document) -> tuple[Movement, ...]:
    """Return what a document has moved, less what was undone of it since; takes no lock."""
    return tuple(net(past) for past in read_history(session, [document]).of(document) if past.left)


def write(
    session: Session,
    *issued: Issued,
    at_least: Mapping[LevelKey, int] | None = None,
    items: Iterable[Item] = (),
    alongside: Alongside | None = None,
    events: Events | None = None,
) -> None:
    """Write planned movements with the rows that go alongside, and tell whoever wants to know."""
    batch = WriteBatch(session.connection())
    if alongside is not None:
        for table, rows in alongside(issued).items():
            batch.insert(table, rows)
    movements = [movement for each in issued for movement in each.movements]
    levels = write_movements(session, movements, at_least=at_least, batch=batch)
    stock_changed(session, movements, levels, items, events() if events else ())


def _keys(issue: Issue) -> Iterator[ItemKey]:
    return ((issue.warehouse_id, line.product_id, line.variant_id) for line in issue.lines)


def _wanted(session: Session, issue: Issue, items: Items) -> list[Wanted] | DomainError:
    """Return the document's tracked lines, each with its item and policy, or why it is refused."""
    wanted = []
    for line in issue.lines:
        item = items.find(issue.warehouse_id, line.product_id, line.variant_id)
        if item is None:
            where = f"{issue.field}.{line.line}.product_id"
            return ValidationFailed.at(where, "There is no such product.", code="unknown-product")
        if item.tracking != "none":
            wanted.append(Wanted(line, item, _policy(session, issue, line)))
    return wanted


def _policy(session: Session, issue: Issue, line: IssueLine) -> str:
    return policy_for(
        session,
        line.product_id,
        issue.warehouse_id,
        issue.channel,
        is_offline=issue.is_offline,
        default=issue.default_policy,
    )


def _needs_lock(session: Session, issues: Sequence[Issue], wanted: Sequence[list[Wanted] | DomainError]) -> bool:
    """Whether levels are locked before they are looked at: not for one document on its first attempt."""
    if any(each.fulfils for each in issues):
        return True
    if len(issues) == 1 and session.info.get("attempt") == 0:
        return False
    # Lots are picked by what is left of them, whatever the policy.
    lines = [line for each in wanted if not isinstance(each, DomainError) for line in each]
    return any(line.policy != "allow" or line.item.tracking == "lot" for line in lines)


def _plan_all(
    session: Session,
    issues: Sequence[Issue],
    wanted: Sequence[list[Wanted] | DomainError],
    history: History,
    *,
    locked: bool,
) -> list[Draft | DomainError]:
    """Plan document after document on one book."""
    pairs = list(zip(issues, wanted, strict=True))
    sound = [(each, lines) for each, lines in pairs if not isinstance(lines, DomainError)]
    book = open_book(session, ((each.warehouse_id, line) for each, lines in sound for line in lines), locked=locked)
    promised = promises_to(session, {each.fulfils for each in issues if each.fulfils})
    results: list[Draft | DomainError] = []
    for each, lines in pairs:
        if isinstance(lines, DomainError):
            results.append(lines)
            continue
        draft = Draft(session, book, each, promised=promised.get(each.fulfils, ()) if each.fulfils else ())
        try:
            plan_lines(draft, lines)
            plan_returns(draft, history)
        except DomainError as error:
            results.append(error)
        else:
            enter(draft)
            results.append(draft)
    return results


def _post(
    session: Session,
    drafts: Sequence[Draft],
    items: Items,
    alongside: Alongside | None,
    events: Events | None,
) -> None:
    at_least: dict[LevelKey, int] = {}
    for draft in drafts:
        release_rows(session, [key for key, _, _ in draft.promised], "fulfilled")
        if not draft.book.is_locked:
            for key, units in draft.at_least.items():
                at_least[key] = at_least.get(key, 0) + units
    issued = [draft.issued() for draft in drafts]
    write(session, *issued, at_least=at_least, items=items, alongside=alongside, events=events)


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
