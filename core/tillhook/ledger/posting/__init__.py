"""The inside of the ledger's door; what others use of it is in :mod:`tillhook.ledger`."""

from tillhook.ledger.posting.writing import write_movements

__all__ = ["write_movements"]
