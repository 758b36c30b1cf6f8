"""Initial."""

# ruff: noqa: E501
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tillhook.db import allow_changes, append_only

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "pos_document",
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("till", sa.Text(), nullable=False),
        sa.Column("session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("sale_id", name=op.f("pk_pos_document")),
    )
    with op.batch_alter_table("pos_document", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pos_document_session",
            ["session_id"],
            unique=False,
            postgresql_where=sa.text("session_id IS NOT NULL"),
            sqlite_where=sa.text("session_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_pos_document_unclaimed",
            ["till", "sale_id"],
            unique=False,
            postgresql_where=sa.text("session_id IS NULL"),
            sqlite_where=sa.text("session_id IS NULL"),
        )

    op.create_table(
        "pos_receipt",
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("copies", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("first_printed_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("sale_id", name=op.f("pk_pos_receipt")),
    )
    op.create_table(
        "pos_parked_sale",
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("till", sa.Text(), nullable=False),
        sa.Column("seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("body", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("ended_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("status IN ('parked','resumed','discarded')", name=op.f("ck_pos_parked_sale_status")),
        sa.ForeignKeyConstraint(["ended_by"], ["user_account.id"], name=op.f("fk_pos_parked_sale_ended_by")),
        sa.ForeignKeyConstraint(["seller_id"], ["user_account.id"], name=op.f("fk_pos_parked_sale_seller_id")),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_pos_parked_sale_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pos_parked_sale")),
    )
    with op.batch_alter_table("pos_parked_sale", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pos_parked_sale_open",
            ["warehouse_id", "id"],
            unique=False,
            postgresql_where=sa.text("status = 'parked'"),
            sqlite_where=sa.text("status = 'parked'"),
        )

    op.create_table(
        "pos_till",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("api_key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("code_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name=op.f("fk_pos_till_api_key_id")),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_pos_till_user_id")),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_pos_till_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pos_till")),
        sa.UniqueConstraint("name", name=op.f("uq_pos_till_name")),
    )
    op.create_table(
        "pos_session",
        sa.Column("till_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("opened_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("opening_float", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("expected_cash", sa.BigInteger(), nullable=True),
        sa.Column("counted_cash", sa.BigInteger(), nullable=True),
        sa.Column("over_short", sa.BigInteger(), nullable=True),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("z_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("z_report", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("(closed_at IS NULL) = (z_number IS NULL)", name=op.f("ck_pos_session_z")),
        sa.CheckConstraint(
            "opening_float = CAST(opening_float AS BIGINT) AND opening_float BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_pos_session_opening_float_exact"),
        ),
        sa.CheckConstraint("opening_float >= 0", name=op.f("ck_pos_session_float")),
        sa.ForeignKeyConstraint(["closed_by"], ["user_account.id"], name=op.f("fk_pos_session_closed_by")),
        sa.ForeignKeyConstraint(["opened_by"], ["user_account.id"], name=op.f("fk_pos_session_opened_by")),
        sa.ForeignKeyConstraint(["till_id"], ["pos_till.id"], name=op.f("fk_pos_session_till_id")),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_pos_session_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pos_session")),
        sa.UniqueConstraint("till_id", "z_number", name=op.f("uq_pos_session_till_id_z_number")),
    )
    with op.batch_alter_table("pos_session", schema=None) as batch_op:
        batch_op.create_index(
            "ix_pos_session_opener",
            ["opened_by"],
            unique=False,
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )
        batch_op.create_index(
            "ux_pos_session_open",
            ["till_id"],
            unique=True,
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )

    op.create_table(
        "pos_cash_movement",
        sa.Column("session_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("direction IN ('in','out')", name=op.f("ck_pos_cash_movement_direction")),
        sa.CheckConstraint(
            "amount = CAST(amount AS BIGINT) AND amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_pos_cash_movement_amount_exact"),
        ),
        sa.CheckConstraint("amount > 0", name=op.f("ck_pos_cash_movement_amount")),
        sa.ForeignKeyConstraint(["created_by"], ["user_account.id"], name=op.f("fk_pos_cash_movement_created_by")),
        sa.ForeignKeyConstraint(["session_id"], ["pos_session.id"], name=op.f("fk_pos_cash_movement_session_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pos_cash_movement")),
    )
    with op.batch_alter_table("pos_cash_movement", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pos_cash_movement_session_id"), ["session_id"], unique=False)

    append_only("pos_cash_movement")


def downgrade() -> None:
    with op.batch_alter_table("pos_cash_movement", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pos_cash_movement_session_id"))

    allow_changes("pos_cash_movement")
    op.drop_table("pos_cash_movement")
    with op.batch_alter_table("pos_session", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_pos_session_open",
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )
        batch_op.drop_index(
            "ix_pos_session_opener",
            postgresql_where=sa.text("closed_at IS NULL"),
            sqlite_where=sa.text("closed_at IS NULL"),
        )

    op.drop_table("pos_session")
    op.drop_table("pos_till")
    with op.batch_alter_table("pos_parked_sale", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_pos_parked_sale_open",
            postgresql_where=sa.text("status = 'parked'"),
            sqlite_where=sa.text("status = 'parked'"),
        )

    op.drop_table("pos_parked_sale")
    op.drop_table("pos_receipt")
    with op.batch_alter_table("pos_document", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_pos_document_unclaimed",
            postgresql_where=sa.text("session_id IS NULL"),
            sqlite_where=sa.text("session_id IS NULL"),
        )
        batch_op.drop_index(
            "ix_pos_document_session",
            postgresql_where=sa.text("session_id IS NOT NULL"),
            sqlite_where=sa.text("session_id IS NOT NULL"),
        )

    op.drop_table("pos_document")
