"""Who does something, and what they may do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tillhook.errors import PermissionDenied


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What another person lends the actor for one request.

    Args:
        permissions: What the actor lacks and the other holds.
        used: Those of them that something asked for; it fills while the request is worked on.
    """

    user_id: int
    name: str
    permissions: frozenset[str]
    used: set[str] = field(default_factory=set)

    def lends(self, permission: str) -> bool:
        """Say whether the permission is lent, and note that it was asked for."""
        if permission not in self.permissions:
            return False
        self.used.add(permission)
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The person, the device or the system in whose name a request or a job works.

    Args:
        user_id: ``None`` for the system and for somebody who is not logged in.
        permissions: What the roles allow; for an API key the part of it that the key was made for.
        warehouse_ids: The warehouses whose stock and sales the actor sees; ``None`` means all of them.
        session_id: The log-in that the access token belongs to.
        api_key_id: The key that was used instead of a log-in.
        device: The name of the till or the machine that the key, or the log-in, is bound to.
        is_system: A job, a command or a migration: may do everything.
        discount_limit: The largest discount that the roles allow, a fraction; ``None`` for the setting's.
        override: What somebody else lends for this request.
        every_role: What each role of the business allows, by its name: a refusal says who may.
    """

    user_id: int | None = None
    name: str = ""
    email: str = ""
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    warehouse_ids: frozenset[int] | None = frozenset()
    session_id: int | None = None
    api_key_id: int | None = None
    device: str | None = None
    is_system: bool = False
    discount_limit: Decimal | None = None
    override: Override | None = None
    every_role: Mapping[str, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    def can(self, permission: str) -> bool:
        """Say whether the actor holds a permission, or is lent it."""
        if permission in self.permissions or self.is_system:
            return True
        return self.override is not None and self.override.lends(permission)

    def who_may(self, permission: str) -> list[str]:
        """Return the names of the roles that hold a permission."""
        return sorted(name for name, permissions in self.every_role.items() if permission in permissions)

    def require(self, permission: str) -> None:
        """Refuse an actor without the permission.

        Raises:
            PermissionDenied: 403 ``permission-denied``, the permission and the ``roles`` that hold it named.
        """
        if not self.can(permission):
            raise self.refusal(f"This needs the permission {permission}", permission)

    def refusal(
        self, detail: str, permission: str, *, roles: Sequence[str] | None = None, **members: Any
    ) -> PermissionDenied:
        """Return the 403 that names the ``permission`` and who may.

        Args:
            detail: What is refused, a sentence without its full stop.
            roles: Who may; by default the roles that hold the permission.
            members: What else the problem says.
        """
        roles = self.who_may(permission) if roles is None else roles
        detail += f"; these roles may: {', '.join(roles)}." if roles else "."
        return PermissionDenied(detail, permission=permission, roles=roles, **members)


#: Jobs, commands and migrations.
SYSTEM = Actor(name="system", warehouse_ids=None, is_system=True)
#: A request without a token.
ANONYMOUS = Actor()


__all__ = ["ANONYMOUS", "SYSTEM", "Actor", "Override"]
