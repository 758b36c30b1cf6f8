"""Tables of access: users, roles, log-ins, API keys, the log-in throttle, the audit log."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from tillhook.db import Base, IdMixin, TimestampMixin, partial_index, utc_now


class UserAccount(IdMixin, TimestampMixin, Base):
    """Somebody who may log in. Never deleted, because sales and the audit log name them."""

    __tablename__ = "user_account"

    #: In lower case, so that one address is one account.
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    #: Argon2id with its parameters.
    password_hash: Mapped[str]
    #: Likewise; for signing in at a till, and for overrides.
    pin_hash: Mapped[str | None]
    is_active: Mapped[bool] = mapped_column(default=True)
    party_id: Mapped[int | None] = mapped_column(ForeignKey("party.id"))
    #: Sees every warehouse, also those that are made later; then ``user_warehouse`` does not count.
    all_warehouses: Mapped[bool] = mapped_column(default=False)

    # Few of many customers' accounts have one.
    __table_args__ = (partial_index("ix_user_account_pin", "id", where="pin_hash IS NOT NULL"),)


class Role(IdMixin, Base):
    """A named set of permissions."""

    __tablename__ = "role"

    name: Mapped[str] = mapped_column(unique=True)
    title: Mapped[str]
    #: Shipped with the system: keeps its name and cannot be deleted.
    is_builtin: Mapped[bool] = mapped_column(default=False)
    #: The largest discount that its holders may give, a fraction; ``None`` for the setting's.
    discount_limit: Mapped[Decimal | None]


class RolePermission(Base):
    """A permission of a role, by name: it outlives the plugin that declares it."""

    __tablename__ = "role_permission"

    role_id: Mapped[int] = mapped_column(ForeignKey("role.id", ondelete="CASCADE"), primary_key=True)
    permission: Mapped[str] = mapped_column(primary_key=True)


class KnownPermission(Base):
    """A permission whose default roles were granted it once; what an admin then takes away stays away."""

    __tablename__ = "known_permission"

    name: Mapped[str] = mapped_column(primary_key=True)


class UserRole(Base):
    """A role of a user."""

    __tablename__ = "user_role"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), primary_key=True, index=True)


class UserWarehouse(Base):
    """A warehouse that a user sees."""

    __tablename__ = "user_warehouse"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), primary_key=True)
    location_id: Mapped[int] = mapped_column(ForeignKey("location.id"), primary_key=True)


class SessionFamily(IdMixin, Base):
    """One log-in, with every refresh token that came out of it."""

    __tablename__ = "session_family"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    #: Where the log-in came from; attempts from there are not stopped by what others do to the account.
    address: Mapped[str] = mapped_column(default="")
    #: Signed in by PIN at the device that has this key: it works there only, and ends with the key.
    api_key_id: Mapped[int | None] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    revoked_at: Mapped[datetime | None]
    revoked_reason: Mapped[str | None]


class RefreshToken(IdMixin, Base):
    """A refresh token, good for one use; only its SHA-256 is kept."""

    __tablename__ = "refresh_token"

    family_id: Mapped[int] = mapped_column(ForeignKey("session_family.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class ApiKey(IdMixin, Base):
    """A key for a device or a program, which acts as its owner with part of the owner's rights."""

    __tablename__ = "api_key"

    #: The public part, by which the key is found; only the SHA-256 of the secret part is kept.
    prefix: Mapped[str] = mapped_column(unique=True)
    secret_hash: Mapped[str]
    name: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"), index=True)
    scopes: Mapped[list[Any]]
    #: ``None``: whatever the owner sees.
    warehouse_ids: Mapped[list[Any] | None]
    device: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class LoginAttempt(Base):
    """Failed log-ins of late, counted by account, by address and by both together; and wrong PINs likewise."""

    __tablename__ = "login_attempt"

    #: A digest: what somebody typed into the e-mail field may have been their password.
    key: Mapped[str] = mapped_column(primary_key=True)
    failures: Mapped[int]
    last_failed_at: Mapped[datetime] = mapped_column(index=True)
    blocked_until: Mapped[datetime | None]

    __table_args__ = (CheckConstraint("failures > 0", name="failures"),)


class AuditEntry(IdMixin, Base):
    """One change that somebody made: who, with which device, to what, before and after. Append-only."""

    __tablename__ = "audit_entry"
    __append_only__ = True

    created_at: Mapped[datetime] = mapped_column(default=utc_now, index=True)
    #: No foreign keys: the log stays as it was, whatever becomes of what it names.
    actor_id: Mapped[int | None]
    actor_name: Mapped[str]
    api_key_id: Mapped[int | None]
    device: Mapped[str | None]
    request_id: Mapped[str]
    action: Mapped[str]
    entity: Mapped[str]
    entity_id: Mapped[str]
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

    __table_args__ = (
        Index("ix_audit_entry_entity", "entity", "entity_id", "id"),
        Index("ix_audit_entry_actor", "actor_id", "id"),
        Index("ix_audit_entry_action", "action", "id"),
    )
