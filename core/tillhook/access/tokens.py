"""Access tokens, refresh tokens and API keys as text: making them and checking them, without a database.

An access token is a JWT (RFC 7519) signed with HS256. A refresh token and the secret of an API key are 256
random bits, so their plain SHA-256 is safe to keep: there is nothing to guess that a slow hash would protect.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import jwt

from tillhook.config import Settings
from tillhook.db import utc_now
from tillhook.errors import Unauthenticated

ISSUER = "tillhook"
AUDIENCE = "tillhook-api"
ALGORITHM = "HS256"
#: Several machines' clocks are never quite the same.
LEEWAY_S = 5

_KEY = re.compile(r"th_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_ID = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token or a key says of itself, its signature or form checked, nothing looked up.

    Args:
        user_id: Of an access token.
        session_id: Of an access token: the log-in it belongs to.
        prefix: Of an API key.
        digest: Of an API key: the SHA-256 of its secret, yet to be compared.
    """

    kind: Literal["session", "key"]
    user_id: int = 0
    session_id: int = 0
    prefix: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """A key at the only moment at which its text is known."""

    text: str
    prefix: str
    digest: str


def issue_access_token(
    settings: Settings, user_id: int, session_id: int, now: datetime | None = None, *, lifetime_s: int | None = None
) -> str:
    """Return a signed access token, good for ``settings.access_token_lifetime_s`` unless said otherwise."""
    issued = now or utc_now()
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": str(user_id),  # the standard wants text, and PyJWT refuses anything else
        "sid": session_id,
        "iat": issued,
        "exp": issued + timedelta(seconds=lifetime_s or settings.access_token_lifetime_s),
    }
    return jwt.encode(claims, _signing_key(settings), algorithm=ALGORITHM)


def authenticate_token(token: str, settings: Settings) -> Claims:
    """Return what an access token or an API key claims; asks no database.

    Raises:
        Unauthenticated: 401 ``token-expired`` for an access token that was good, else ``invalid-token``.
    """
    if token.startswith("th_"):
        return _key_claims(token)
    try:
        claims = jwt.decode(
            token,
            _signing_key(settings),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=LEEWAY_S,
            options={"require": ["iss", "aud", "sub", "sid", "iat", "exp"]},
        )
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("The access token has expired.", code="token-expired") from None
    except (jwt.InvalidTokenError, ValueError):
        raise _invalid() from None
    session_id = claims["sid"]
    if type(session_id) is not int or not (_ID.fullmatch(claims["sub"]) and _ID.fullmatch(str(session_id))):
        raise _invalid()
    return Claims("session", user_id=int(claims["sub"]), session_id=session_id)


def new_refresh_token() -> str:
    """Return a new refresh token."""
    return secrets.token_urlsafe(32)


def new_api_key() -> NewApiKey:
    """Return a new API key, ``th_<prefix>_<secret>``."""
    prefix, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    return NewApiKey(f"th_{prefix}_{secret}", prefix, digest_of(secret))


def digest_of(secret: str) -> str:
    """Return the SHA-256 under which a random secret is kept."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def same_digest(left: str, right: str) -> bool:
    """Compare two digests in a time that does not depend on them."""
    return hmac.compare_digest(left, right)


def _key_claims(token: str) -> Claims:
    match = _KEY.fullmatch(token)
    if match is None:
        raise _invalid()
    return Claims("key", prefix=match[1], digest=digest_of(match[2]))


def _signing_key(settings: Settings) -> bytes:
    # A key of its own: nothing else that the secret signs can pass for a token.
    return hmac.digest(settings.secret.encode(), b"tillhook access token", "sha256")


def _invalid() -> Unauthenticated:
    return Unauthenticated("The token is not valid.", code="invalid-token")
