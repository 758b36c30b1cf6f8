"""Routes of sessions."""

from tillhook.hooks import Route

ROUTES: tuple[Route, ...] = ()
