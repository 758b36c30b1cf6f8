"""Routes of parked."""

from tillhook.hooks import Route

ROUTES: tuple[Route, ...] = ()
