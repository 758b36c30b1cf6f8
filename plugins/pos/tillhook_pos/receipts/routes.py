"""Routes of receipts."""

from tillhook.hooks import Route

ROUTES: tuple[Route, ...] = ()
