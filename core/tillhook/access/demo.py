"""Users to try the system with; their password is in the README, so they are made in demo mode only."""

from sqlalchemy.orm import Session

from tillhook.access.users import NewUser, create_user
from tillhook.runtime import snapshot_of

PASSWORD = "testpass123"
DOMAIN = "test.com"
#: Role, name, and which warehouses: all of them whenever they were made, those of the demo, or none.
PEOPLE = (
    ("admin", "Ada Admin", "all"),
    ("manager", "Mara Manager", "demo"),
    ("supplier", "Sam Supplier", "demo"),
    ("cashier", "Cleo Cashier", "demo"),
    ("accountant", "Ari Accountant", "all"),
    ("customer", "Chris Customer", "none"),
)


def create_demo_users(session: Session) -> None:
    """Make a user of each shipped role, ``<role>@test.com``."""
    warehouses = tuple(sorted(snapshot_of(session).warehouses))
    for role, name, sees in PEOPLE:
        create_user(
            session,
            NewUser(
                email=f"{role}@{DOMAIN}",
                name=name,
                password=PASSWORD,
                roles=(role,),
                warehouses=warehouses if sees == "demo" else (),
                all_warehouses=sees == "all",
            ),
        )
