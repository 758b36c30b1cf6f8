"""Who a request says it comes from, its token's signature checked once and not for every request."""

import time
from typing import TYPE_CHECKING

import falcon
import jwt

from tillhook.access import Claims, authenticate_token

if TYPE_CHECKING:
    from tillhook.config import Settings

_CACHED = 10_000


class TokenReader:
    """Reads tokens and API keys; asks no database.

    An access token that was found good stays so until it expires: whether its log-in has ended since, the
    look-up of the actor says. Checking the signature again costs as much as a small query.
    """

    def __init__(self, settings: "Settings") -> None:
        self._settings = settings
        self._good: dict[str, tuple[Claims, float]] = {}

    def claims(self, request: falcon.Request) -> Claims | None:
        """Return what the token or key says, ``None`` when there is none.

        Raises:
            Unauthenticated: It has expired or is none of ours (401).
        """
        token = _token(request)
        if token is None:
            return None
        known = self._good.get(token)
        if known is not None and known[1] > time.time():
            return known[0]
        claims = authenticate_token(token, self._settings)
        if claims.kind == "session":
            if len(self._good) >= _CACHED:
                self._good.clear()
            expires_at = jwt.decode(token, options={"verify_signature": False})["exp"]
            self._good[token] = (claims, expires_at)
        return claims


def _token(request: falcon.Request) -> str | None:
    """Return the token of ``Authorization: Bearer``, else the key of ``X-API-Key``."""
    header: str | None = request.env.get("HTTP_AUTHORIZATION")
    if header is None:
        return request.env.get("HTTP_X_API_KEY") or None
    scheme, _, token = header.partition(" ")
    return (token.strip() or None) if scheme.lower() == "bearer" else None
