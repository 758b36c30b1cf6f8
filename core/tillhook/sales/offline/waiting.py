"""Returns that came before their sale: posted by themselves once it is there (ADR 0010)."""

from marshmallow import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from tillhook.access import acting_for
from tillhook.errors import DomainError
from tillhook.http import validation_failed
from tillhook.ledger import lock_goods
from tillhook.sales.commands import SaleReturn
from tillhook.sales.exceptions import digest_of, read_payload, sender_of, states
from tillhook.sales.models import Sale, SaleException
from tillhook.sales.offline.isolation import post_isolated
from tillhook.sales.outcomes import Outcome
from tillhook.sales.returns import goods_of, lock_families

#: Returns posted in one transaction; the next sync and the job go on. A sale must arrive however many wait for it.
AT_ONCE = 100
_DUE = (
    select(SaleException)
    .join(Sale, Sale.external_id == SaleException.origin_external_id)
    .where(SaleException.status == states.WAITING)
    .order_by(SaleException.id)
    .with_for_update(of=SaleException, skip_locked=True)
)


def post_waiting(session: Session) -> None:
    """Post waiting returns whose sale has arrived, in the name of who sent them, ``AT_ONCE`` of them at most.

    One that cannot be posted is opened for a person to look at, with the reason. Called when a sale is posted that is
    waited for, with each sync, and by a job: a return and its sale that come at the same moment don't see each other.
    """
    left = AT_ONCE
    # What is posted may be waited for itself: an exchange whose goods came back.
    while left and (due := session.scalars(_DUE.limit(left)).all()):
        left -= len(due)
        returns = [SaleReturn(lines=(), external_id=exception.origin_external_id) for exception in due]
        lock_families(session, returns)
        lock_goods(session, goods_of(session, returns))
        for exception in due:
            _post_one(session, exception)


def _post_one(session: Session, exception: SaleException) -> None:
    with acting_for(session, exception.seller_id, sender_of(exception)):
        outcome = _outcome(session, exception)
    if outcome.sale is not None:
        states.arrive(session, exception.id, outcome.sale["id"])
    else:
        assert outcome.error is not None
        _give_to_a_person(session, exception, outcome.error)


def _give_to_a_person(session: Session, exception: SaleException, error: DomainError) -> None:
    digest = digest_of(error.code, exception.payload, exception.seller_id)
    if not states.reopen(session, exception.id, error, digest):
        states.merge(session, exception.id)


def _outcome(session: Session, exception: SaleException) -> Outcome:
    try:
        command = read_payload(exception)
    except ValidationError as error:
        return Outcome("rejected", error=validation_failed(error))
    return post_isolated(session, [command], is_offline=True)[0]
