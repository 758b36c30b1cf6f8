"""What ``tillhook verify`` must find true of the counter's tables."""

from tillhook.hooks import Invariant

INVARIANTS: tuple[Invariant, ...] = ()
