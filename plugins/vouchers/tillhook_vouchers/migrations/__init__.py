"""Revisions of the counter's tables."""
