"""Initial."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from tillhook.db import allow_changes, append_only

revision: str = "0001"
down_revision: str | None = None
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "voucher",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("lookup", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("issued_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("sale_line", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("voided_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("kind IN ('gift_card', 'store_credit', 'unknown')", name=op.f("ck_voucher_kind")),
        sa.CheckConstraint(
            "amount = CAST(amount AS BIGINT) AND amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_voucher_amount_exact"),
        ),
        sa.CheckConstraint(
            "balance = CAST(balance AS BIGINT) AND balance BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_voucher_balance_exact"),
        ),
        sa.ForeignKeyConstraint(["customer_id"], ["party.id"], name=op.f("fk_voucher_customer_id")),
        sa.ForeignKeyConstraint(["issued_by"], ["user_account.id"], name=op.f("fk_voucher_issued_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voucher")),
        sa.UniqueConstraint("lookup", name=op.f("uq_voucher_lookup")),
    )
    with op.batch_alter_table("voucher", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_voucher_customer_id"), ["customer_id"], unique=False)
        batch_op.create_index(
            "ix_voucher_expiry",
            ["expires_on"],
            unique=False,
            postgresql_where=sa.text("balance > 0"),
            sqlite_where=sa.text("balance > 0"),
        )
        batch_op.create_index(batch_op.f("ix_voucher_issued_by"), ["issued_by"], unique=False)
        batch_op.create_index(
            "ix_voucher_sale",
            ["sale_id"],
            unique=False,
            postgresql_where=sa.text("sale_id IS NOT NULL"),
            sqlite_where=sa.text("sale_id IS NOT NULL"),
        )

    op.create_table(
        "voucher_guess",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_voucher_guess_user_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_voucher_guess")),
    )
    op.create_table(
        "voucher_entry",
        sa.Column("voucher_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("document_type", sa.Text(), nullable=False),
        sa.Column("document_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_offline", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("created_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "amount = CAST(amount AS BIGINT) AND amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_voucher_entry_amount_exact"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["user_account.id"], name=op.f("fk_voucher_entry_created_by")),
        sa.ForeignKeyConstraint(["voucher_id"], ["voucher.id"], name=op.f("fk_voucher_entry_voucher_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_voucher_entry")),
    )
    with op.batch_alter_table("voucher_entry", schema=None) as batch_op:
        batch_op.create_index("ix_voucher_entry_moment", ["occurred_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_voucher_entry_voucher_id"), ["voucher_id"], unique=False)

    op.create_table(
        "voucher_product",
        sa.Column(
            "product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_voucher_product_product_id")),
        sa.PrimaryKeyConstraint("product_id", name=op.f("pk_voucher_product")),
    )
    append_only("voucher_entry")


def downgrade() -> None:
    allow_changes("voucher_entry")
    op.drop_table("voucher_product")
    with op.batch_alter_table("voucher_entry", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_voucher_entry_voucher_id"))
        batch_op.drop_index("ix_voucher_entry_moment")

    op.drop_table("voucher_entry")
    op.drop_table("voucher_guess")
    with op.batch_alter_table("voucher", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_voucher_sale",
            postgresql_where=sa.text("sale_id IS NOT NULL"),
            sqlite_where=sa.text("sale_id IS NOT NULL"),
        )
        batch_op.drop_index(batch_op.f("ix_voucher_issued_by"))
        batch_op.drop_index(
            "ix_voucher_expiry", postgresql_where=sa.text("balance > 0"), sqlite_where=sa.text("balance > 0")
        )
        batch_op.drop_index(batch_op.f("ix_voucher_customer_id"))

    op.drop_table("voucher")
