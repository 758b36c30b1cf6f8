"""Returns that came before their sale: posted by themselves once it is there (ADR 0010)."""

from typing import Any

from marshmallow import ValidationError
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from tillhook.access import acting_for
from tillhook.db import format_instant, utc_now
from tillhook.http import validation_failed
from tillhook.sales.exceptions import digest_of
from tillhook.sales.isolation import post_isolated
from tillhook.sales.models import Sale, SaleException
from tillhook.sales.posting import Outcome
from tillhook.sales.settled import read_payload, sender_of

#: Returns posted in one transaction; the next sync and the job go on. A sale must arrive however many wait for it.
AT_ONCE = 100
_DUE = (
    select(SaleException)
    .join(Sale, Sale.external_id == SaleException.origin_external_id)
    .where(SaleException.status == "waiting")
    .order_by(SaleException.id)
    .with_for_update(of=SaleException, skip_locked=True)
)
_ACCEPT = text(
    "UPDATE sale_exception SET status = 'accepted', sale_id = :sale_id, resolved_at = :now,"
    " resolution = 'Posted when its sale arrived.' WHERE id = :id"
)
# It may have been refused for that before: then a person has it already.
_OPEN = text(
    "UPDATE sale_exception SET status = 'open', code = :code, detail = :detail, digest = :digest WHERE id = :id"
    " AND NOT EXISTS (SELECT 1 FROM sale_exception WHERE digest = :digest)"
)
_DISCARD = text(
    "UPDATE sale_exception SET status = 'discarded', resolved_at = :now,"
    " resolution = 'Kept once more, for the reason why it was refused.' WHERE id = :id"
)


def post_waiting(session: Session) -> None:
    """Post waiting returns whose sale has arrived, in the name of who sent them, ``AT_ONCE`` of them at most.

    One that cannot be posted stays for a person to look at, with the reason. Called when a sale is posted that is
    waited for, with each sync, and by a job: a return and its sale that come at the same moment don't see each other.
    """
    left = AT_ONCE
    # What is posted may be waited for itself: an exchange whose goods came back.
    while left and (due := session.scalars(_DUE.limit(left)).all()):
        left -= len(due)
        for exception in due:
            _post_one(session, exception.id, exception.seller_id, exception)


def _post_one(session: Session, key: int, seller_id: int | None, exception: SaleException) -> None:
    now = format_instant(utc_now())
    with acting_for(session, seller_id, sender_of(exception)):
        outcome = _outcome(session, exception)
    if outcome.sale is not None:
        session.execute(_ACCEPT, {"id": key, "sale_id": outcome.sale["id"], "now": now})
        return
    error: Any = outcome.error
    digest = digest_of(error.code, exception.payload, seller_id)
    moved = session.execute(_OPEN, {"id": key, "code": error.code, "detail": error.detail, "digest": digest})
    if not moved.rowcount:  # type: ignore[attr-defined]
        session.execute(_DISCARD, {"id": key, "now": now})


def _outcome(session: Session, exception: SaleException) -> Outcome:
    try:
        command = read_payload(exception)
    except ValidationError as error:
        return Outcome("rejected", error=validation_failed(error))
    return post_isolated(session, [command], is_offline=True)[0]
