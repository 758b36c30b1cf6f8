"""Receipts as text, PDF and ESC/POS."""
