"""Routes of tills."""

from tillhook.hooks import Route

ROUTES: tuple[Route, ...] = ()
