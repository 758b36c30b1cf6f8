"""Routes of views."""

from tillhook.hooks import Route

ROUTES: tuple[Route, ...] = ()
