"""Slowly changing reference data, cached per process for one epoch, and the values of settings among it."""

from tillhook.reference.calendar import Calendar
from tillhook.reference.epoch import bump_epoch
from tillhook.reference.snapshot import (
    Snapshot,
    SnapshotCache,
    TaxRef,
    UnitRef,
    WarehouseRef,
)

__all__ = [
    "Calendar",
    "Snapshot",
    "SnapshotCache",
    "TaxRef",
    "UnitRef",
    "WarehouseRef",
    "bump_epoch",
]
