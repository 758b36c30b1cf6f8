"""Posting so that a bad sale harms nobody but itself."""

from collections.abc import Sequence

import structlog
from sqlalchemy.orm import Session

from tillhook.db import is_retryable, is_unavailable
from tillhook.errors import DomainError
from tillhook.sales.commands import SaleCommand
from tillhook.sales.outcomes import Outcome
from tillhook.sales.posting import lock_goods_of, post_batch

log = structlog.get_logger()


class SaleFailed(DomainError):
    """A mistake of ours, or of a plugin's, met one sale of a batch."""

    status = 500
    code = "internal-server-error"
    title = "Internal server error"


def post_isolated(session: Session, commands: Sequence[SaleCommand], is_offline: bool) -> list[Outcome]:
    """Post a batch at once; when that fails as a whole, one by one, so that only the culprit is refused.

    What a sale does before it may be refused, such as making a product, is undone with it only when it is alone.
    """
    if len(commands) > 1 and not any(_does_more(command) for command in commands):
        try:
            with session.begin_nested():
                return post_batch(session, commands, is_offline=is_offline)
        except Exception as error:
            _raise_transient(error)
    if len(commands) > 1:
        lock_goods_of(session, commands)
    return [_post_alone(session, command, is_offline) for command in commands]


def _does_more(command: SaleCommand) -> bool:
    return command.reservation is not None or any(item.product_data for item in command.items)


def _post_alone(session: Session, command: SaleCommand, is_offline: bool) -> Outcome:
    try:
        with session.begin_nested():
            outcome = post_batch(session, [command], is_offline=is_offline)[0]
            if outcome.error is not None and outcome.error.code != "external-id-reused":
                raise outcome.error
        return outcome
    except DomainError as error:
        return Outcome("rejected", error=error)
    except Exception as error:
        _raise_transient(error)
        log.exception("sale_failed", external_id=command.external_id)
        return Outcome("rejected", error=SaleFailed("Something went wrong here; the sale is stored as an exception."))


def _raise_transient(error: Exception) -> None:
    """Raise an error that is no sale's fault: the whole request is to be tried again."""
    if is_retryable(error) or is_unavailable(error):
        raise error
