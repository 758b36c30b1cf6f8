"""What the routes of access take."""

from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from tillhook.access.api_keys import KeyRequest
from tillhook.access.passwords import MAX_LENGTH, MIN_LENGTH
from tillhook.access.pins import PATTERN
from tillhook.access.roles import NewRole
from tillhook.access.users import FaultyUser, NewUser
from tillhook.http import (
    Email,
    Flag,
    Instant,
    Key,
    ListOf,
    ListQuery,
    Ordering,
    Quantity,
    Schema,
    Text,
    validation_failed,
)

_ROLE = r"[a-z][a-z0-9_-]{0,39}"
_PERMISSION = r"[a-z][a-z0-9_]*(:[a-z][a-z0-9_]*){2}"


def _new_password(**options: Any) -> Text:
    return Text(min=MIN_LENGTH, max=MAX_LENGTH, strip=False, **options)


def _any_password(**options: Any) -> Text:
    # What is only compared follows no rule, but has an end.
    return Text(max=1000, strip=False, **options)


class LoginIn(Schema):
    """An e-mail address, of any form, and a password."""

    email = Text(max=254, required=True)
    password = _any_password(required=True)


class RefreshIn(Schema):
    """A refresh token."""

    refresh_token = Text(min=1, max=500, required=True)


class LogoutIn(Schema):
    """Optionally the refresh token, for a client whose access token has expired."""

    refresh_token = Text(min=1, max=500)


class RegisterIn(Schema):
    """A customer who signs up."""

    email = Email(required=True)
    name = Text(min=1, required=True)
    password = _new_password(required=True)


class PasswordIn(Schema):
    """The present password and the new one."""

    current_password = _any_password(required=True)
    new_password = _new_password(required=True)


class OwnPinIn(Schema):
    """The present password and a PIN."""

    current_password = _any_password(required=True)
    pin = Text(min=4, max=12, pattern=PATTERN, required=True)


class NoPinIn(Schema):
    """The present password."""

    current_password = _any_password(required=True)


class PinIn(Schema):
    """A PIN."""

    pin = Text(min=4, max=12, pattern=PATTERN, required=True)


class UserIn(Schema):
    """A new user. What is wrong with the body is left for :func:`create_user` to say, with all else that is wrong."""

    email = Email(required=True)
    name = Text(min=1, required=True)
    password = _new_password(required=True)
    roles = ListOf(Text(max=40, pattern=_ROLE), max=20, load_default=())
    warehouses = ListOf(Key(), load_default=())
    all_warehouses = Flag(load_default=False)

    def load(self, data: Any, **options: Any) -> NewUser | FaultyUser:
        try:
            loaded: NewUser = super().load(data, **options)
        except ValidationError as error:
            if not isinstance(data, dict):
                raise
            return FaultyUser(data, tuple(validation_failed(error).errors))
        return loaded

    @post_load
    def _command(self, data: dict[str, Any], **_: Any) -> NewUser:
        return NewUser(**{**data, "roles": tuple(data["roles"]), "warehouses": tuple(data["warehouses"])})


class UserChanges(Schema):
    """What is to change about a user."""

    email = Email()
    name = Text(min=1)
    password = _new_password()
    roles = ListOf(Text(max=40, pattern=_ROLE), max=20)
    warehouses = ListOf(Key())
    all_warehouses = Flag()
    is_active = Flag()


class RoleIn(Schema):
    """A new role."""

    name = Text(max=40, pattern=_ROLE, required=True)
    title = Text(load_default="")
    discount_limit = Quantity(max=1, allow_zero=True, allow_none=True, load_default=None)
    permissions = ListOf(Text(max=120, pattern=_PERMISSION), load_default=())

    @post_load
    def _command(self, data: dict[str, Any], **_: Any) -> NewRole:
        return NewRole(**{**data, "permissions": tuple(data["permissions"])})


class RoleChanges(Schema):
    """What is to change about a role; its name stays."""

    title = Text(min=1)
    discount_limit = Quantity(max=1, allow_zero=True, allow_none=True)
    permissions = ListOf(Text(max=120, pattern=_PERMISSION))


class ApiKeyIn(Schema):
    """A new API key; without ``user`` for oneself, without ``warehouses`` for all that the owner sees."""

    name = Text(min=1, required=True)
    scopes = ListOf(Text(max=120, pattern=_PERMISSION), min=1, required=True)
    user = Key(load_default=None, allow_none=True)
    warehouses = ListOf(Key(), min=1, load_default=None, allow_none=True)
    device = Text(min=1, max=100, load_default=None, allow_none=True)
    expires_at = Instant(load_default=None, allow_none=True)

    @post_load
    def _command(self, data: dict[str, Any], **_: Any) -> KeyRequest:
        warehouses = data["warehouses"]
        return KeyRequest(
            name=data["name"],
            scopes=tuple(data["scopes"]),
            user_id=data["user"],
            warehouse_ids=None if warehouses is None else tuple(warehouses),
            device=data["device"],
            expires_at=data["expires_at"],
        )


class UserQuery(ListQuery):
    """The filters of the users' list."""

    role = Text(max=40, load_default=None)
    is_active = Flag(load_default=None)
    ordering = Ordering("name", "email", "created_at", default="name")


class ApiKeyQuery(ListQuery):
    """The filters of the API keys' list."""

    user = Key(load_default=None)
    ordering = Ordering("name", "created_at")


class AuditQuery(ListQuery):
    """The filters of the audit log: ``date_from`` and later, before ``date_to``."""

    actor = Key(load_default=None)
    action = Text(max=100, load_default=None)
    entity = Text(max=100, load_default=None)
    entity_id = Text(max=100, load_default=None)
    date_from = Instant(load_default=None)
    date_to = Instant(load_default=None)
    ordering = Ordering("created_at")

    @validates_schema
    def _in_order(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("date_from") and data.get("date_to") and data["date_from"] > data["date_to"]:
            raise ValidationError("Must not be before date_from.", "date_to")
