"""The rows that are always there: the epoch, and the virtual locations."""

from collections.abc import Sequence

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

LOCATIONS = {-1: "vendor", -2: "customer", -3: "adjustment", -4: "scrap", -5: "transit"}
_AT = "2026-01-01T00:00:00.000000Z"


def upgrade() -> None:
    op.execute("INSERT INTO epoch (id, value) VALUES (1, 1)")
    for key, kind in LOCATIONS.items():
        op.execute(
            "INSERT INTO location (id, kind, name, address, is_active, created_at, updated_at)"
            f" VALUES ({key}, '{kind}', '({kind})', '', true, '{_AT}', '{_AT}')"
        )


def downgrade() -> None:
    op.execute("DELETE FROM location WHERE id < 0")
    op.execute("DELETE FROM epoch")
