"""The inside of the ledger's door; what others use of it is in :mod:`tillhook.ledger`."""
