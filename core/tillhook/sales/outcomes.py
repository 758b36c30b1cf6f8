"""What became of a document that was to be posted."""

from dataclasses import dataclass, replace
from typing import Any, Literal

from tillhook.errors import DomainError
from tillhook.http.media import dump_json

#: What is needed of a sale once its answer is made.
_NEEDED = ("id", "warehouse", "source_device", "warnings")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one sale: ``created``, ``duplicate`` (the first one is in ``sale``) or ``rejected``.

    ``same_number_as`` is an earlier sale to which the device gave the same running number. ``is_awaited`` says that
    returns of it came before it, and wait. ``json`` is the whole answer about the sale, once it is :meth:`encoded`.
    """

    status: Literal["created", "duplicate", "rejected"]
    sale: dict[str, Any] | None = None
    error: DomainError | None = None
    same_number_as: int | None = None
    is_awaited: bool = False
    json: bytes | None = None

    def showing(self, sale: dict[str, Any]) -> "Outcome":
        """Return the outcome with the sale as it is now."""
        return replace(self, sale=sale, is_awaited=False, json=None)

    def encoded(self) -> "Outcome":
        """Return the outcome with the sale as JSON, and little of it besides: answers as dicts fill memory."""
        if self.sale is None or self.json is not None:
            return self
        # A copy, because orjson's bytes keep the room that they were made in: 16 KB for 2.
        json = bytes(memoryview(dump_json(self.sale)))
        return replace(self, sale={name: self.sale[name] for name in _NEEDED}, json=json)


class SaleNotSynced(DomainError):
    """A return came before the sale that it is of; it is stored until that one arrives."""

    status = 409
    code = "sale-not-synced"
    title = "Sale not synced yet"

    def __init__(self, origin_external_id: str) -> None:
        super().__init__("The sale that this belongs to has not arrived; it waits until then.")
        self.origin_external_id = origin_external_id
