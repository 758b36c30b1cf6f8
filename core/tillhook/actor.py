"""Who does something, and what they may do."""

from dataclasses import dataclass
from decimal import Decimal

from tillhook.errors import PermissionDenied


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """The person, the device or the system in whose name a request or a job works.

    Args:
        user_id: ``None`` for the system and for somebody who is not logged in.
        permissions: What the roles allow; for an API key the part of it that the key was made for.
        warehouse_ids: The warehouses whose stock and sales the actor sees; ``None`` means all of them.
        session_id: The log-in that the access token belongs to.
        api_key_id: The key that was used instead of a log-in.
        device: The name of the till or the machine that the key is bound to.
        is_system: A job, a command or a migration: may do everything.
        discount_limit: The largest discount that the roles allow, a fraction; ``None`` for the setting's.
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

    def can(self, permission: str) -> bool:
        """Say whether the actor holds a permission."""
        return self.is_system or permission in self.permissions

    def require(self, permission: str) -> None:
        """Refuse an actor without the permission.

        Raises:
            PermissionDenied: 403 ``permission-denied``, the permission named.
        """
        if not self.can(permission):
            raise PermissionDenied(f"This needs the permission {permission}.", permission=permission)


#: Jobs, commands and migrations.
SYSTEM = Actor(name="system", warehouse_ids=None, is_system=True)
#: A request without a token.
ANONYMOUS = Actor()


__all__ = ["ANONYMOUS", "SYSTEM", "Actor"]
