"""The people of the template, and tokens for them without the cost of a log-in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

ROLES = ("admin", "supplier", "cashier", "accountant", "customer")
PASSWORD = "testpass123"
#: The template's warehouses. Supplier and cashier work in the first, admin and accountant see both.
MAIN, OTHER = "Main shop", "Other shop"


@dataclass(frozen=True)
class Person:
    """A user of the template, or one that ``make.user`` made."""

    id: int
    email: str
    role: str


class Tokens:
    """Access tokens by person; one is signed the first time it is asked for."""

    def __init__(self, runtime: "Runtime") -> None:
        self._runtime = runtime
        self._headers: dict[Any, dict[str, str]] = {None: {}}

    def headers(self, as_: Any) -> dict[str, str]:
        """Return the headers by which a request is ``as_``: a role, a :class:`Person`, or ``None``."""
        key = getattr(as_, "id", as_)
        if key not in self._headers:
            user_id = self._user_of(as_) if isinstance(as_, str) else key
            self._headers[key] = {"Authorization": f"Bearer {self.token(user_id)}"}
        return self._headers[key]

    def token(self, user_id: int) -> str:
        """Return an access token of the user."""
        raise NotImplementedError

    def _user_of(self, role: str) -> int:
        if role not in ROLES:
            raise ValueError(f"as_={role!r}: the template's people are {', '.join(ROLES)}")
        with self._runtime.database.connect() as connection:
            statement = f"SELECT id FROM user_account WHERE email = '{role}@test.com'"
            return int(connection.exec_driver_sql(statement).scalar_one())
