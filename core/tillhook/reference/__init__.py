"""Slowly changing reference data, cached per process for one epoch, and the settings among it."""

from tillhook.reference.services import bump_epoch, list_settings, update_settings
from tillhook.reference.snapshot import (
    PolicyRef,
    Snapshot,
    SnapshotCache,
    TaxRef,
    UnitRef,
    WarehouseRef,
)

__all__ = [
    "PolicyRef",
    "Snapshot",
    "SnapshotCache",
    "TaxRef",
    "UnitRef",
    "WarehouseRef",
    "bump_epoch",
    "list_settings",
    "update_settings",
]
