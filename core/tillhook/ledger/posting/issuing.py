"""Documents that take goods out, or back: planned on one book, as many as there are, and posted together."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from tillhook.errors import DomainError, ValidationFailed
from tillhook.ledger.policy import policy_for
from tillhook.ledger.posting.book import Draft, Wanted, enter, open_book
from tillhook.ledger.posting.history import History, read_history
from tillhook.ledger.posting.items import ItemKey, Items, load_items
from tillhook.ledger.posting.locks import lock_documents
from tillhook.ledger.posting.planning import NeedsLock, plan_lines
from tillhook.ledger.posting.promises import Promise, leave_out_expired, promises_to, release_rows
from tillhook.ledger.posting.undoing import plan_returns
from tillhook.ledger.posting.values import (
    Alongside,
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
from tillhook.ledger.posting.writing import post
from tillhook.products import why_not_there


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
        events: Called once, after it.

    Returns:
        For each, in the order asked, what it moved or why it was refused.

    Raises:
        RetryTransaction: Another transaction came between; run this one again.
        DomainError: A plugin vetoed the movements.
    """
    if items is None:
        items = load_items(session, (key for each in issues for key in keys_of(each)))
    lock_documents(session, (line.origin for each in issues for line in each.returns))
    origins = {line.origin for each in issues for line in each.returns}
    history = read_history(session, origins) if origins else History(())
    wanted = [wanted_of(session, each, items) for each in issues]
    made: set[int] = set()
    try:
        locked = _needs_lock(session, issues, wanted)
        results = _plan_all(session, issues, wanted, history, made, locked=locked)
    except NeedsLock:
        results = _plan_all(session, issues, wanted, history, made, locked=True)
    drafts = [result for result in results if isinstance(result, Draft)]
    if drafts:
        post_drafts(session, drafts, items, alongside, events)
    return [result.issued() if isinstance(result, Draft) else result for result in results]


def restock(
    session: Session, restock: Restock, *, alongside: Alongside | None = None, events: Events | None = None
) -> tuple[Movement, ...]:
    """Take goods back into the lots they were taken from, first taken first, or to scrap.

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


def shortages(session: Session, issue: Issue, *, items: Items | None = None) -> tuple[ShortLine, ...]:
    """Return the lines for which a document would be refused, by what is in stock now; takes no lock, moves nothing."""
    items = load_items(session, keys_of(issue)) if items is None else items
    wanted = wanted_of(session, issue, items)
    if isinstance(wanted, DomainError):
        raise wanted
    blocked = [each for each in wanted if each.policy == "block"]
    book = open_book(session, ((issue.warehouse_id, each) for each in blocked), locked=False)
    # What was read is all there is to go by.
    book.is_locked = True
    leave_out_expired(session, book.levels)
    try:
        plan_lines(Draft(session, book, issue, promised=promised_to(session, issue)), blocked)
    except InsufficientStock as error:
        return error.short
    return ()


def promised_to(session: Session, issue: Issue) -> Sequence[Promise]:
    """Return the reservations that the document uses up."""
    return promises_to(session, [issue.fulfils])[issue.fulfils] if issue.fulfils else ()


def keys_of(issue: Issue) -> Iterator[ItemKey]:
    """Yield the keys of the document's items."""
    return ((issue.warehouse_id, line.product_id, line.variant_id) for line in issue.lines)


def wanted_of(session: Session, issue: Issue, items: Items) -> list[Wanted] | DomainError:
    """Return the document's tracked lines, each with its item and policy, or why it is refused.

    Raises:
        ValueError: Two lines have the same number.
    """
    numbers = [line.line for line in issue.lines]
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{issue.document}: two lines have the same number")
    wanted = []
    for line in issue.lines:
        item = items.find(issue.warehouse_id, line.product_id, line.variant_id)
        if item is None:
            why = why_not_there(session, line.product_id, line.variant_id)
            return ValidationFailed.at(f"{issue.field}.{line.line}.{why.field}", why.message, code=why.code)
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
    attempt = session.info.get("attempt")
    if attempt or any(each.fulfils for each in issues):
        return True
    if len(issues) == 1 and attempt == 0:
        return False
    # Lots are picked by what is left of them, whatever the policy.
    lines = [line for each in wanted if not isinstance(each, DomainError) for line in each]
    return any(line.policy != "allow" or line.item.tracking == "lot" for line in lines)


def _plan_all(
    session: Session,
    issues: Sequence[Issue],
    wanted: Sequence[list[Wanted] | DomainError],
    history: History,
    made: set[int],
    *,
    locked: bool,
) -> list[Draft | DomainError]:
    """Plan document after document on one book.

    Args:
        made: Lots that planning has made; those of a first plan are still there in the second.
    """
    pairs = list(zip(issues, wanted, strict=True))
    sound = [(each, lines) for each, lines in pairs if not isinstance(lines, DomainError)]
    book = open_book(session, ((each.warehouse_id, line) for each, lines in sound for line in lines), locked=locked)
    book.made = made
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
            if each.fulfils:
                # What was promised is used up; the next one of the same promise has nothing of it.
                promised.pop(each.fulfils, None)
    return results


def post_drafts(
    session: Session,
    drafts: Sequence[Draft],
    items: Items,
    alongside: Alongside | None,
    events: Events | None,
) -> None:
    """Write what drafts plan, and what goes alongside."""
    at_least: dict[LevelKey, int] = {}
    for draft in drafts:
        release_rows(session, [key for key, _, _ in draft.promised], "fulfilled")
        if not draft.book.is_locked:
            for key, units in draft.at_least.items():
                at_least[key] = at_least.get(key, 0) + units
    issued = [draft.issued() for draft in drafts]
    post(session, *issued, at_least=at_least, items=items, alongside=alongside, events=events)
