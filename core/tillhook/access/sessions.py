"""Log-ins: opening one, renewing its tokens, ending it.

:func:`log_in`, :func:`refresh`, :func:`log_out` and :func:`change_password` write in transactions of their own,
which commit also when the answer is an error: an attempt must count before it is checked, and a stolen token must
end its session. They are called with a session that only reads.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session

from tillhook.access.audit import audit
from tillhook.access.loading import user_actor
from tillhook.access.models import RefreshToken, SessionFamily, UserAccount
from tillhook.access.passwords import (
    check_new_password,
    hash_password,
    hashing,
    needs_rehash,
    stand_in,
    verify_password,
)
from tillhook.access.throttle import KNOWN, Claim, check_attempt, claim, forgive, log_in_attempt, network_of
from tillhook.access.tokens import digest_of, issue_access_token, new_refresh_token
from tillhook.db import utc_now
from tillhook.errors import PermissionDenied, Unauthenticated, ValidationFailed
from tillhook.reference import bump_epoch
from tillhook.runtime import actor_of, request_id_of, runtime_of, snapshot_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIn:
    """Somebody's e-mail address and password, and the network address they came from."""

    email: str
    password: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChange:
    """The own password, the old and the new one."""

    current_password: str
    new_password: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    """What a client gets; ``expires_in_s`` is of the access token."""

    access_token: str
    refresh_token: str
    expires_in_s: int
    user_id: int


@dataclass(frozen=True, slots=True)
class Checked:
    """A password was right: whose it is, the hash it was compared with, its new hash, and what was counted."""

    user_id: int
    kept: str
    renewed: str
    claim: Claim


def normal_email(email: str) -> str:
    """Return the form in which an e-mail address is kept and looked up."""
    return email.strip().lower()


def log_in(session: Session, command: LogIn) -> TokenPair:
    """Check a password and open a session.

    Raises:
        Unauthenticated: 401 ``wrong-credentials``: no such account, or not active, or another password; the
            answer and its time are the same for each.
        TooManyRequests: 429 after failed attempts, see :mod:`tillhook.access.throttle`.
    """
    checked = _check_password(session, normal_email(command.email), command.address, command.password)
    with own_transaction(session, checked.user_id) as writing:
        _confirm(writing, checked)
        return start_session(writing, checked.user_id, command.address)


def start_session(session: Session, user_id: int, address: str = "") -> TokenPair:
    """Open a session without asking for a password, and return its first tokens."""
    return _issue(session, user_id, open_session(session, user_id, address))


def open_session(session: Session, user_id: int, address: str = "", *, api_key_id: int | None = None) -> int:
    """Open a session without refresh tokens and return its id, the ``sid`` of access tokens.

    Args:
        api_key_id: The key of the device at which the person signs in by PIN.
    """
    family = SessionFamily(user_id=user_id, address=network_of(address), api_key_id=api_key_id)
    session.add(family)
    session.flush()
    return family.id


def refresh(session: Session, token: str) -> TokenPair:
    """Take a refresh token, once, and return new tokens of the same session.

    Of several that come with one token at the same time, one wins. Any other use of a used token ends the
    session, for either the client or a thief holds a copy.

    Raises:
        Unauthenticated: 401 ``invalid-refresh-token``: unknown, used, expired, or its session has ended.
    """
    digest, pair = digest_of(token), None
    # Who made one up costs a look-up, and not SQLite's one writer.
    if session.scalar(select(RefreshToken.id).where(RefreshToken.token_hash == digest)) is not None:
        with own_transaction(session) as writing:
            pair = _rotate(writing, digest)
    if pair is None:
        raise Unauthenticated("The refresh token is not valid any more.", code="invalid-refresh-token")
    return pair


def log_out(session: Session, refresh_token: str | None = None) -> None:
    """End the actor's session, and the one that ``refresh_token`` belongs to.

    Raises:
        Unauthenticated: 401: neither a session nor a refresh token says what to end.
    """
    session_id = actor_of(session).session_id
    if session_id is None and refresh_token is None:
        raise Unauthenticated("There is no log-in to end.")
    families = [] if session_id is None else [session_id]
    if refresh_token is not None:
        families += session.scalars(
            select(RefreshToken.family_id).where(RefreshToken.token_hash == digest_of(refresh_token))
        )
    if families:
        with own_transaction(session) as writing:
            for family_id in families:
                revoke_session(writing, family_id, "log-out")


def revoke_session(session: Session, session_id: int, reason: str) -> None:
    """End one session, in all processes, once the transaction has committed."""
    _revoke(session, SessionFamily.id == session_id, reason)


def revoke_sessions_of(session: Session, user_id: int, reason: str, *, keep: int | None = None) -> None:
    """End all sessions of a user, but for ``keep``."""
    _revoke(session, (SessionFamily.user_id == user_id) & (SessionFamily.id != (keep or 0)), reason)


def revoke_sign_ins_of(session: Session, user_id: int, reason: str) -> None:
    """End a user's sign-ins by PIN, at whatever till."""
    _revoke(session, (SessionFamily.user_id == user_id) & SessionFamily.api_key_id.is_not(None), reason)


def confirm_password(session: Session, password: str, address: str, field: str = "current_password") -> Checked:
    """See that it is the actor, by the password.

    Raises:
        PermissionDenied: 403 to an API key, which is no person.
        ValidationFailed: 422 ``wrong-credentials``, ``field`` named.
        TooManyRequests: 429 after failed attempts.
    """
    actor = actor_of(session)
    if actor.session_id is None or actor.user_id is None:
        raise PermissionDenied("Only a person who is logged in can do this.")
    email = session.get_one(UserAccount, actor.user_id).email
    try:
        return _check_password(session, email, address, password)
    except Unauthenticated:
        raise ValidationFailed.at(field, "Not your present password.", code="wrong-credentials") from None


def change_password(session: Session, command: PasswordChange) -> None:
    """Change the actor's own password and end the other sessions.

    Raises:
        PermissionDenied: 403 to an API key, which is no person.
        ValidationFailed: 422: the current password is wrong, or the new one will not do.
        TooManyRequests: 429 after failed attempts.
    """
    actor = actor_of(session)
    check_new_password(command.new_password, field="new_password", email=actor.email)
    checked = confirm_password(session, command.current_password, command.address)
    with hashing():
        new_hash = hash_password(command.new_password, snapshot_of(session).settings)
    with own_transaction(session, checked.user_id) as writing:
        forgive(writing, checked.claim)
        writing.get_one(UserAccount, checked.user_id).password_hash = new_hash
        writing.flush()
        audit(writing, "update", "user", checked.user_id, before={"password": ""}, after={"password": ""})
        revoke_sessions_of(writing, checked.user_id, "password", keep=None if actor.device else actor.session_id)


def forget_old_sessions(session: Session) -> None:
    """Delete expired refresh tokens, and sessions that can neither go on nor make an address known."""
    now = utc_now()
    session.execute(delete(RefreshToken).where(RefreshToken.expires_at < now - timedelta(days=1)))
    has_token = exists().where(RefreshToken.family_id == SessionFamily.id)
    session.execute(delete(SessionFamily).where(SessionFamily.created_at < now - KNOWN, ~has_token))


@contextlib.contextmanager
def own_transaction(session: Session, user_id: int | None = None) -> Iterator[Session]:
    """Yield another session, which commits by itself, in the name of the actor or of who has proved it."""
    runtime = runtime_of(session)
    actor = actor_of(session)
    if actor.user_id is None and user_id is not None:
        actor = user_actor(session.connection(), snapshot_of(session), user_id)
    with runtime.unit_of_work(actor, request_id=request_id_of(session)) as writing:
        yield writing


def _check_password(session: Session, email: str, address: str, password: str) -> Checked:
    """Check a password, in the same way whether there is such an account or not.

    Reading ends before, so that nothing is held while one waits for others and hashes.
    """
    attempt = log_in_attempt(email, address)
    check_attempt(session, attempt)
    columns = select(UserAccount.id, UserAccount.password_hash, UserAccount.is_active)
    user = session.execute(columns.where(UserAccount.email == email)).one_or_none()
    instead = stand_in(session, UserAccount.password_hash, email)
    settings = snapshot_of(session).settings
    session.commit()
    with hashing():
        with own_transaction(session) as writing:
            claimed = claim(writing, attempt)
        is_right = verify_password(password, user.password_hash if user else None, settings, instead=instead)
        if not is_right or user is None or not user.is_active:
            raise _wrong_credentials()
        is_old = needs_rehash(user.password_hash, settings)
        renewed = hash_password(password, settings) if is_old else user.password_hash
    return Checked(user.id, user.password_hash, renewed, claimed)


def _confirm(session: Session, checked: Checked) -> None:
    """Lock the user and see that the password that was checked before is still theirs; keep its renewed hash."""
    user = session.get(UserAccount, checked.user_id, with_for_update=True)
    if user is None or not user.is_active or user.password_hash != checked.kept:
        raise _wrong_credentials()
    forgive(session, checked.claim)
    user.password_hash = checked.renewed
    session.flush()


def _rotate(session: Session, digest: str) -> TokenPair | None:
    now = utc_now()
    # Whoever comes second waits here for the first to commit, and then finds the token used.
    taken = session.execute(
        update(RefreshToken)
        .where(RefreshToken.token_hash == digest, RefreshToken.used_at.is_(None))
        .values(used_at=now)
        .returning(RefreshToken.family_id, RefreshToken.expires_at)
    ).one_or_none()
    if taken is None:
        _end_reused(session, digest)
        return None
    family = session.execute(
        select(SessionFamily.revoked_at, UserAccount.id, UserAccount.is_active)
        .join(UserAccount, UserAccount.id == SessionFamily.user_id)
        .where(SessionFamily.id == taken.family_id)
    ).one()
    if taken.expires_at <= now or family.revoked_at is not None or not family.is_active:
        return None
    return _issue(session, family.id, taken.family_id)


def _end_reused(session: Session, digest: str) -> None:
    family_id = session.scalar(select(RefreshToken.family_id).where(RefreshToken.token_hash == digest))
    if family_id is not None:
        revoke_session(session, family_id, "reuse")
        audit(session, "revoke", "session", family_id, after={"reason": "a refresh token was used twice"})


def _issue(session: Session, user_id: int, family_id: int) -> TokenPair:
    settings = runtime_of(session).settings
    token = new_refresh_token()
    expires_at = utc_now() + timedelta(seconds=settings.refresh_token_lifetime_s)
    session.add(RefreshToken(family_id=family_id, token_hash=digest_of(token), expires_at=expires_at))
    session.flush()
    return TokenPair(
        access_token=issue_access_token(settings, user_id, family_id),
        refresh_token=token,
        expires_in_s=settings.access_token_lifetime_s,
        user_id=user_id,
    )


def _revoke(session: Session, condition: object, reason: str) -> None:
    revoked = session.execute(
        update(SessionFamily)
        .where(condition, SessionFamily.revoked_at.is_(None))  # type: ignore[arg-type]
        .values(revoked_at=utc_now(), revoked_reason=reason)
        .returning(SessionFamily.id)
    ).all()
    if revoked:
        bump_epoch(session)


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated("The e-mail address or the password is wrong.", code="wrong-credentials")
