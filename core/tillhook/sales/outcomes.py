"""What became of a document that was to be posted."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from tillhook.errors import DomainError


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sale: ``created``, ``duplicate`` (the first one is in ``sale``) or ``rejected``.

    ``same_number_as`` is an earlier sale to which the device gave the same running number. ``is_awaited`` says that
    returns of it came before it, and wait.
    """

    status: Literal["created", "duplicate", "rejected"]
    sale: dict[str, Any] | None = None
    error: DomainError | None = None
    same_number_as: int | None = None
    is_awaited: bool = False

    def showing(self, sale: dict[str, Any]) -> "Outcome":
        """Return the outcome with the sale as it is now."""
        return replace(self, sale=sale, is_awaited=False)


class SaleNotSynced(DomainError):
    """A return came before the sale that it is of; it is stored until that one arrives."""

    status = 409
    code = "sale-not-synced"
    title = "Sale not synced yet"

    def __init__(self, origin_external_id: str) -> None:
        super().__init__("The sale that this belongs to has not arrived; it waits until then.")
        self.origin_external_id = origin_external_id
