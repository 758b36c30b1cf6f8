"""Tills as devices: their keys, and the signed codes on receipts by which a lost sale is restored."""
