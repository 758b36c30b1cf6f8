"""What ``tillhook verify`` must find true of the counter's tables."""

from tillhook.hooks import Invariant
from tillhook_pos.sessions.invariants import INVARIANTS as SESSIONS
from tillhook_pos.views.checks import INVARIANTS as VIEWS

INVARIANTS: tuple[Invariant, ...] = (*SESSIONS, *VIEWS)
