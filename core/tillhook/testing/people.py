"""The people of the template, and tokens for them without the cost of a log-in."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tillhook.runtime import Runtime

ROLES = ("admin", "supplier", "cashier", "accountant", "customer", "manager")
PASSWORD = "testpass123"
#: The template's warehouses. Manager, supplier and cashier work in the first, admin and accountant see both.
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
        self._logins: dict[str, tuple[int, int]] = {}

    def headers(self, as_: Any) -> dict[str, str]:
        """Return the headers by which a request is ``as_``: a role, a :class:`Person`, or ``None``."""
        key = getattr(as_, "id", as_)
        if key not in self._headers:
            self._headers[key] = {"Authorization": f"Bearer {self.token(as_)}"}
        return self._headers[key]

    def token(self, as_: Any) -> str:
        """Return an access token of a role's person or of a :class:`Person`."""
        from tillhook.access import issue_access_token

        user_id, session_id = self._template_login(as_) if isinstance(as_, str) else self._log_in(as_.id)
        return issue_access_token(self._runtime.settings, user_id, session_id)

    def _template_login(self, role: str) -> tuple[int, int]:
        if not self._logins:
            with self._runtime.database.connect() as connection:
                rows = connection.exec_driver_sql(
                    "SELECT u.email, u.id, MIN(f.id) FROM user_account u JOIN session_family f ON f.user_id = u.id"
                    " GROUP BY u.email, u.id"
                )
                self._logins = {row[0]: (row[1], row[2]) for row in rows}
        if role not in ROLES:
            raise ValueError(f"as_={role!r}: the template's people are {', '.join(ROLES)}")
        return self._logins[f"{role}@test.com"]

    def _log_in(self, user_id: int) -> tuple[int, int]:
        from tillhook.access.models import SessionFamily

        with self._runtime.unit_of_work() as session:
            family = SessionFamily(user_id=user_id)
            session.add(family)
            session.flush()
            return user_id, family.id
