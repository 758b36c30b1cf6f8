"""Posting sales again from their receipts, where the device that made them is lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from tillhook.access import acting_for, acting_with, audit, require_warehouse
from tillhook.errors import DomainError, NotFound, ValidationFailed
from tillhook.quantities import format_money
from tillhook.runtime import actor_of
from tillhook.sales import Outcome, post_sales
from tillhook_pos.tills.signing import SignedReceipt, read


@dataclass(frozen=True, slots=True)
class Restored:
    """What became of one receipt; ``external_id`` is known once the code could be read."""

    outcome: Outcome
    external_id: str | None = None


def restore(session: Session, codes: Sequence[tuple[str, str]], reason: str) -> list[Restored]:
    """Post what receipts hold as the offline sales that they are, in the names of their sellers and devices.

    A sale is posted once, whether its receipt or its device comes first: both have one content and one
    ``external_id``. Each receipt stands alone.

    Args:
        codes: Where each code is in the request, and the code.
        reason: Why; needed where the till's secret is out of use.

    Returns:
        An outcome per code, in the order given. Refused sales, not unreadable codes, are kept with their payload.
    """
    results: list[Restored | None] = [None] * len(codes)
    groups: dict[tuple[int, str], list[tuple[int, str, SignedReceipt]]] = {}
    for position, (field, code) in enumerate(codes):
        try:
            signed = read(session, code, field)
            _check(session, signed, field, reason)
        except DomainError as error:
            results[position] = Restored(Outcome("rejected", error=error))
            continue
        content = signed.content
        device = content.command().source_device
        groups.setdefault((content.seller_id, device), []).append((position, field, signed))
    for (seller_id, device), receipts in groups.items():
        outcomes = _post(session, seller_id, device, [(field, signed) for _, field, signed in receipts])
        for (position, field, signed), outcome in zip(receipts, outcomes, strict=True):
            results[position] = Restored(_told(outcome, field), signed.content.body["external_id"])
            if outcome.status == "created" and outcome.sale is not None:
                _note(session, signed, outcome.sale, reason)
    return [result for result in results if result is not None]


def _check(session: Session, signed: SignedReceipt, field: str, reason: str) -> None:
    require_warehouse(session, signed.content.body["warehouse"], field=field)
    if signed.is_retired and not reason:
        message = "Say why: the till's device or its secret is out of use, and whoever has it could have signed this."
        raise ValidationFailed.at("reason", message, code="pos-retired-receipt-key")


def _post(
    session: Session, seller_id: int, device: str, receipts: Sequence[tuple[str, SignedReceipt]]
) -> Sequence[Outcome]:
    own = actor_of(session)
    commands = [signed.content.command() for _, signed in receipts]
    try:
        # The goods were sold when the seller might; who restores answers for what the seller may no longer.
        with (
            acting_for(session, seller_id, device=device),
            acting_with(session, own.permissions, own.warehouse_ids),
        ):
            return post_sales(session, commands, is_offline=True)
    except NotFound:
        return [
            Outcome(
                "rejected", error=ValidationFailed.at(field, "Its seller is unknown here.", code="pos-unknown-seller")
            )
            for field, _ in receipts
        ]


def _told(outcome: Outcome, field: str) -> Outcome:
    """Return the outcome with what is wrong named where it came in: inside the code."""
    if outcome.error is not None:
        outcome.error.errors = [
            {**each, "field": each["field"] if each["field"] == field else f"{field}.{each['field']}"}
            for each in outcome.error.errors
        ]
    return outcome


def _note(session: Session, signed: SignedReceipt, sale: dict[str, Any], reason: str) -> None:
    total = signed.content.total
    audit(
        session,
        "restore-from-receipt",
        "sale",
        sale["id"],
        after={
            "external_id": sale["external_id"],
            "seller": sale["seller"],
            "source_device": sale["source_device"],
            "device_number": sale["device_number"],
            "till": signed.till.id if signed.till else None,
            "code_version": signed.version,
            "is_retired": signed.is_retired,
            "receipt_total": None if total is None else format_money(total),
            "total_amount": sale["amount_due"],
            "reason": reason,
        },
    )
