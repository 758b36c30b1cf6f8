"""Tokens as text: what is taken, and everything else that is not."""

import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tillhook.access.tokens import (
    AUDIENCE,
    ISSUER,
    _signing_key,
    authenticate_token,
    digest_of,
    issue_access_token,
    new_api_key,
    new_refresh_token,
)
from tillhook.config import Settings
from tillhook.db import utc_now
from tillhook.errors import Unauthenticated

SETTINGS = Settings(secret="a secret of at least thirty-two bytes")
OTHER = Settings(secret="another secret of thirty-two bytes!!!")


def signed(changes: Mapping[str, Any] = {}, key: bytes | None = None, algorithm: str = "HS256") -> str:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "7", "sid": 3, "iat": now, "exp": now + 60, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, _signing_key(SETTINGS) if key is None else key, algorithm=algorithm)


def test_access_token_says_who_and_which_session() -> None:
    claims = authenticate_token(issue_access_token(SETTINGS, 7, 3), SETTINGS)
    assert (claims.kind, claims.user_id, claims.session_id) == ("session", 7, 3)


def test_access_token_ends() -> None:
    old = utc_now() - timedelta(seconds=SETTINGS.access_token_lifetime_s + 10)
    with pytest.raises(Unauthenticated) as caught:
        authenticate_token(issue_access_token(SETTINGS, 7, 3, now=old), SETTINGS)
    assert caught.value.code == "token-expired"


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("iss", "aud", "sub", "sid", "iat", "exp")),
        {"iss": "somebody"},
        {"aud": "elsewhere"},
        {"sub": "0"},
        {"sub": "-1"},
        {"sub": "7 OR 1=1"},
        {"sub": "٧"},
        {"sid": "3"},
        {"sid": True},
        {"sid": 3.5},
        {"iat": int(time.time()) + 3600},
    ],
)
def test_claims_that_are_missing_or_wrong(changes: Mapping[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        authenticate_token(signed(changes), SETTINGS)


def test_signature_of_another_key() -> None:
    for token in (
        issue_access_token(OTHER, 7, 3),
        # The secret itself signs other things, such as cursors.
        signed(key=SETTINGS.secret.encode()),
        jwt.encode({"sub": "7", "sid": 3}, None, algorithm="none"),
        signed(key=b"x" * 64, algorithm="HS512"),
    ):
        with pytest.raises(Unauthenticated):
            authenticate_token(token, SETTINGS)


@given(st.one_of(st.text(), st.text().map("th_{}".format), st.text().map(lambda text: f"{text}.{text}.{text}")))
def test_any_text_is_refused_as_a_token(token: str) -> None:
    with pytest.raises(Unauthenticated):
        authenticate_token(token, SETTINGS)


def test_api_key_is_found_by_its_prefix_and_compared_by_digest() -> None:
    key = new_api_key()
    claims = authenticate_token(key.text, SETTINGS)
    assert (claims.kind, claims.prefix, claims.digest) == ("key", key.prefix, key.digest)
    assert key.text not in (key.prefix, key.digest)


def test_secrets_are_long_and_never_the_same() -> None:
    tokens = {new_refresh_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 for token in tokens)  # 256 bits in base64
    assert len({digest_of(token) for token in tokens}) == 100
