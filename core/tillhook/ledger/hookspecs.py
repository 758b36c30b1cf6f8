"""Hooks about stock, which the ledger calls."""

# mypy: disable-error-code="empty-body"

from collections.abc import Sequence
from decimal import Decimal

from sqlalchemy.orm import Session

from tillhook.hooks import hookspec
from tillhook.ledger.policy import PolicyRequest
from tillhook.ledger.posting.lots import LotRequest
from tillhook.ledger.posting.values import Movement


@hookspec
def validate_movements(session: Session, movements: Sequence[Movement]) -> None:
    """Veto a batch of stock movements before it is written.

    Called: once per batch, in the poster's transaction.
    Args:
        movements: In posting order; quantity > 0 in stock units, direction is from source to destination.
    Raises:
        DomainError: Refuses the whole batch; reaches the client as problem+json.
    Since: 0.1
    """


@hookspec
def movements_posted(session: Session, movements: Sequence[Movement]) -> None:
    """Act on stock movements, whatever caused them.

    Called: once per batch, in the poster's transaction, movements and levels written.
    Args:
        movements: In posting order; quantity > 0 in stock units, direction is from source to destination.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_stock_policy(session: Session, request: PolicyRequest) -> str | None:
    """Answer what happens when a line wants more than is available, or ``None`` for no opinion.

    Called: per product of a document that takes stock, before any level is touched.
    Returns: ``"block"``, ``"allow"`` or ``"absorb"``. When nobody answers the most specific stored policy
        counts, down to the channel's default.
    Since: 0.1
    """


@hookspec(firstresult=True)
def resolve_lots(session: Session, request: LotRequest) -> Sequence[tuple[int, Decimal]] | None:
    """Answer from which lots a line is taken, or ``None`` for no opinion.

    Called: per line of a lot-tracked product that names no lot.
    Returns: ids of lots and quantities, in the order of picking, together at most the line's. When nobody
        answers: first expired, first out.
    Since: 0.1
    """
