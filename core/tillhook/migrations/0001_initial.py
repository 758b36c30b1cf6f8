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

_AT = "2026-01-01T00:00:00.000000Z"


def upgrade() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("actor_name", sa.Text(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entity", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("after", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entry")),
    )
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.create_index("ix_audit_entry_action", ["action", "id"], unique=False)
        batch_op.create_index("ix_audit_entry_actor", ["actor_id", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_entry_created_at"), ["created_at"], unique=False)
        batch_op.create_index("ix_audit_entry_entity", ["entity", "entity_id", "id"], unique=False)

    op.create_table(
        "category",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("parent_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("parent_id <> id", name=op.f("ck_category_parent")),
        sa.ForeignKeyConstraint(["parent_id"], ["category.id"], name=op.f("fk_category_parent_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_category")),
        sa.UniqueConstraint("name", name=op.f("uq_category_name")),
    )
    op.create_table(
        "consumer_cursor",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("held_by", sa.Text(), nullable=True),
        sa.Column("held_since", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_consumer_cursor")),
    )
    op.create_table(
        "epoch",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("value", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_epoch_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_epoch")),
    )
    op.create_table(
        "idempotency_key",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("status", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("headers", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_idempotency_key")),
    )
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.create_index("ix_idempotency_key_created_at", ["created_at"], unique=False)

    op.create_table(
        "job",
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("last_run_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("held_by", sa.Text(), nullable=True),
        sa.Column("held_since", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("held_until", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job")),
    )
    op.create_table(
        "product_import",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("held_by", sa.Text(), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("products_done", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("counts", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_product_import")),
    )
    op.create_table(
        "known_permission",
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_known_permission")),
    )
    op.create_table(
        "location",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.CheckConstraint("(id > 0) = (kind = 'warehouse')", name=op.f("ck_location_virtual_id")),
        sa.CheckConstraint(
            "kind IN ('warehouse','vendor','customer','adjustment','scrap','transit')", name=op.f("ck_location_kind")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_location")),
        sa.UniqueConstraint("code", name=op.f("uq_location_code")),
        sa.UniqueConstraint("name", name=op.f("uq_location_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "login_attempt",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("failures", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("blocked_until", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.CheckConstraint("failures > 0", name=op.f("ck_login_attempt_failures")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_attempt")),
    )
    with op.batch_alter_table("login_attempt", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_login_attempt_last_failed_at"), ["last_failed_at"], unique=False)

    op.create_table(
        "module",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("installed_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_module")),
    )
    op.create_table(
        "number_series",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_number_series")),
    )
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("seq", name=op.f("uq_outbox_seq")),
        postgresql_with={"fillfactor": 50},
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(
            "ix_outbox_unsequenced",
            ["id"],
            unique=False,
            postgresql_where=sa.text("seq IS NULL"),
            sqlite_where=sa.text("seq IS NULL"),
        )

    op.create_table(
        "party",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("tax_id", sa.Text(), nullable=False),
        sa.Column("is_customer", sa.Boolean(), nullable=False),
        sa.Column("is_vendor", sa.Boolean(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_party")),
        sa.UniqueConstraint("user_id", name=op.f("uq_party_user_id")),
    )
    op.create_table(
        "payment_method",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("opens_drawer", sa.Boolean(), nullable=False),
        sa.Column("gives_change", sa.Boolean(), nullable=False),
        sa.Column("counts_as_cash", sa.Boolean(), nullable=False),
        sa.Column("takes_refunds", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_payment_method")),
    )
    op.create_table(
        "role",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("is_builtin", sa.Boolean(), nullable=False),
        sa.Column("discount_limit", sa.BigInteger(), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role")),
        sa.UniqueConstraint("name", name=op.f("uq_role_name")),
    )
    op.create_table(
        "rollup_calendar",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("day_cutoff_hour", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("ck_rollup_calendar_single")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollup_calendar")),
    )
    op.create_table(
        "rollup_day",
        sa.Column(
            "warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sales_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("warehouse_id", "seller_id", "day", "channel", name=op.f("pk_rollup_day")),
    )
    op.create_table(
        "rollup_product",
        sa.Column("length", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column(
            "first_day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column(
            "product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("revenue", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "length", "first_day", "warehouse_id", "seller_id", "channel", "product_id", name=op.f("pk_rollup_product")
        ),
    )
    with op.batch_alter_table("rollup_product", schema=None) as batch_op:
        batch_op.create_index(
            "ix_rollup_product_day",
            ["product_id", "warehouse_id", "seller_id", "first_day"],
            unique=False,
            postgresql_where=sa.text("length <= 1"),
            sqlite_where=sa.text("length <= 1"),
        )

    op.create_table(
        "rollup_tax",
        sa.Column(
            "warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("tax_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("tax_rate", sa.BigInteger(), nullable=False),
        sa.Column("gross", sa.BigInteger(), nullable=False),
        sa.Column("tax", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "warehouse_id", "seller_id", "day", "channel", "tax_id", "tax_rate", name=op.f("pk_rollup_tax")
        ),
    )
    op.create_table(
        "rollup_tender",
        sa.Column(
            "warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("day", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("payment_count", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("warehouse_id", "seller_id", "day", "channel", "method", name=op.f("pk_rollup_tender")),
    )
    op.create_table(
        "sale_name",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("phone", sa.Text(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", "phone", name=op.f("pk_sale_name")),
    )
    op.create_table(
        "sale_uncounted",
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("sale_id", name=op.f("pk_sale_uncounted")),
    )
    op.create_table(
        "sale",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("origin_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=True),
        sa.Column("body_digest", sa.Text(), nullable=True),
        sa.Column("sale_number", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("seller_name", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("customer_name", sa.Text(), nullable=False),
        sa.Column("customer_phone", sa.Text(), nullable=False),
        sa.Column("customer_email", sa.Text(), nullable=False),
        sa.Column("source_device", sa.Text(), nullable=False),
        sa.Column("device_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("is_offline", sa.Boolean(), nullable=False),
        sa.Column("client_timestamp", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("clock_suspect", sa.Boolean(), nullable=False),
        sa.Column("sale_date", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("synced_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("currency_places", sa.Integer(), nullable=False),
        sa.Column("tax_rounding", sa.Text(), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=False),
        sa.Column("tax_amount", sa.BigInteger(), nullable=False),
        sa.Column("discount_amount", sa.BigInteger(), nullable=False),
        sa.Column("total_amount", sa.BigInteger(), nullable=False),
        sa.Column("cash_rounding", sa.BigInteger(), nullable=False),
        sa.Column("change_due", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("(kind = 'sale') = (origin_id IS NULL)", name=op.f("ck_sale_origin")),
        sa.CheckConstraint("kind IN ('sale','return','exchange','cancellation')", name=op.f("ck_sale_kind")),
        sa.CheckConstraint(
            "cash_rounding = CAST(cash_rounding AS BIGINT) AND cash_rounding BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_cash_rounding_exact"),
        ),
        sa.CheckConstraint(
            "discount_amount = CAST(discount_amount AS BIGINT) AND discount_amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_discount_amount_exact"),
        ),
        sa.CheckConstraint("currency_places BETWEEN 0 AND 4", name=op.f("ck_sale_currency_places")),
        sa.CheckConstraint("subtotal + tax_amount - discount_amount = total_amount", name=op.f("ck_sale_totals")),
        sa.CheckConstraint(
            "subtotal = CAST(subtotal AS BIGINT) AND subtotal BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_subtotal_exact"),
        ),
        sa.CheckConstraint(
            "tax_amount = CAST(tax_amount AS BIGINT) AND tax_amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_tax_amount_exact"),
        ),
        sa.CheckConstraint(
            "total_amount = CAST(total_amount AS BIGINT) AND total_amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_total_amount_exact"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale")),
        sa.UniqueConstraint("external_id", name=op.f("uq_sale_external_id")),
        sa.UniqueConstraint("sale_number", name=op.f("uq_sale_sale_number")),
    )
    with op.batch_alter_table("sale", schema=None) as batch_op:
        batch_op.create_index("ix_sale_date", ["sale_date", "id"], unique=False)
        batch_op.create_index("ix_sale_created", ["created_at", "id"], unique=False)
        batch_op.create_index("ix_sale_device", ["source_device", "id"], unique=False)
        batch_op.create_index(
            "ix_sale_kind",
            ["kind", "id"],
            unique=False,
            postgresql_where=sa.text("origin_id IS NOT NULL"),
            sqlite_where=sa.text("origin_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_sale_total_back",
            ["total_amount", "id"],
            unique=False,
            postgresql_where=sa.text("kind IN ('return','cancellation')"),
            sqlite_where=sa.text("kind IN ('return','cancellation')"),
        )
        batch_op.create_index(
            "ix_sale_device_number",
            ["source_device", "device_number"],
            unique=False,
            postgresql_where=sa.text("device_number IS NOT NULL"),
            sqlite_where=sa.text("device_number IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_sale_origin",
            ["origin_id"],
            unique=False,
            postgresql_where=sa.text("origin_id IS NOT NULL"),
            sqlite_where=sa.text("origin_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_sale_customer",
            ["customer_id", "id"],
            unique=False,
            postgresql_where=sa.text("customer_id IS NOT NULL"),
            sqlite_where=sa.text("customer_id IS NOT NULL"),
        )
        batch_op.create_index(
            "ix_sale_name",
            ["customer_name", "customer_phone", "id"],
            unique=False,
            postgresql_where=sa.text("customer_name <> '' OR customer_phone <> ''"),
            sqlite_where=sa.text("customer_name <> '' OR customer_phone <> ''"),
        )
        batch_op.create_index("ix_sale_place", ["warehouse_id", "channel", "id"], unique=False)
        batch_op.create_index("ix_sale_seller", ["seller_id", "id"], unique=False)
        batch_op.create_index(
            "ix_sale_total",
            ["total_amount", "id"],
            unique=False,
            postgresql_where=sa.text("kind IN ('sale','exchange')"),
            sqlite_where=sa.text("kind IN ('sale','exchange')"),
        )
        batch_op.create_index(
            "ux_sale_cancellation",
            ["origin_id"],
            unique=True,
            postgresql_where=sa.text("kind = 'cancellation'"),
            sqlite_where=sa.text("kind = 'cancellation'"),
        )

    op.create_table(
        "sale_device",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("last_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_device")),
        sa.UniqueConstraint("name", name=op.f("uq_sale_device_name")),
    )
    op.create_table(
        "sale_device_gap",
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("first_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("last_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("written_off", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("first_number <= last_number", name=op.f("ck_sale_device_gap_order")),
        sa.ForeignKeyConstraint(["device"], ["sale_device.name"], name=op.f("fk_sale_device_gap_device")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_device_gap")),
    )
    with op.batch_alter_table("sale_device_gap", schema=None) as batch_op:
        batch_op.create_index("ix_sale_device_gap_device", ["device", "first_number"], unique=False)

    op.create_table(
        "sale_line",
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("origin_line_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("product_name", sa.Text(), nullable=False),
        sa.Column("variant_details", sa.Text(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("unit_price", sa.BigInteger(), nullable=False),
        sa.Column("catalogue_price", sa.BigInteger(), nullable=True),
        sa.Column("discount_per_item", sa.BigInteger(), nullable=False),
        sa.Column("discount_share", sa.BigInteger(), nullable=False),
        sa.Column("tax_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("tax_rate", sa.BigInteger(), nullable=False),
        sa.Column("tax_inclusive", sa.Boolean(), nullable=False),
        sa.Column("tax_amount", sa.BigInteger(), nullable=False),
        sa.Column("total_price", sa.BigInteger(), nullable=False),
        sa.Column("batch_number", sa.Text(), nullable=True),
        sa.Column("expiry_date", sa.Date(), nullable=True),
        sa.Column("restock", sa.Text(), nullable=True),
        sa.Column("flags", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("quantity <> 0", name=op.f("ck_sale_line_quantity")),
        sa.CheckConstraint(
            "quantity = CAST(quantity AS BIGINT) AND quantity BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_line_quantity_exact"),
        ),
        sa.CheckConstraint(
            "tax_amount = CAST(tax_amount AS BIGINT) AND tax_amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_line_tax_amount_exact"),
        ),
        sa.CheckConstraint(
            "total_price = CAST(total_price AS BIGINT) AND total_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_line_total_price_exact"),
        ),
        sa.CheckConstraint(
            "unit_price = CAST(unit_price AS BIGINT) AND unit_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_line_unit_price_exact"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_line")),
    )
    with op.batch_alter_table("sale_line", schema=None) as batch_op:
        batch_op.create_index(
            "ix_sale_line_origin",
            ["origin_line_id"],
            unique=False,
            postgresql_where=sa.text("origin_line_id IS NOT NULL"),
            sqlite_where=sa.text("origin_line_id IS NOT NULL"),
        )
        batch_op.create_index("ix_sale_line_product", ["product_id", "sale_id"], unique=False)
        batch_op.create_index("ix_sale_line_sale", ["sale_id"], unique=False)

    op.create_table(
        "sale_payment",
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "amount = CAST(amount AS BIGINT) AND amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_payment_amount_exact"),
        ),
        sa.CheckConstraint(
            "change = CAST(change AS BIGINT) AND change BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_payment_change_exact"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_payment")),
    )
    with op.batch_alter_table("sale_payment", schema=None) as batch_op:
        batch_op.create_index("ix_sale_payment_method", ["method", "sale_id"], unique=False)
        batch_op.create_index("ix_sale_payment_sale", ["sale_id"], unique=False)

    op.create_table(
        "sale_sent",
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("warnings", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("subtotal", sa.BigInteger(), nullable=True),
        sa.Column("tax_amount", sa.BigInteger(), nullable=True),
        sa.Column("total_amount", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "subtotal = CAST(subtotal AS BIGINT) AND subtotal BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_sent_subtotal_exact"),
        ),
        sa.CheckConstraint(
            "tax_amount = CAST(tax_amount AS BIGINT) AND tax_amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_sent_tax_amount_exact"),
        ),
        sa.CheckConstraint(
            "total_amount = CAST(total_amount AS BIGINT) AND total_amount BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_sale_sent_total_amount_exact"),
        ),
        sa.PrimaryKeyConstraint("sale_id", name=op.f("pk_sale_sent")),
    )
    with op.batch_alter_table("sale_sent", schema=None) as batch_op:
        batch_op.create_index(
            "ix_sale_sent_differing",
            ["sale_id"],
            unique=False,
            postgresql_where=sa.text("subtotal IS NOT NULL OR tax_amount IS NOT NULL OR total_amount IS NOT NULL"),
            sqlite_where=sa.text("subtotal IS NOT NULL OR tax_amount IS NOT NULL OR total_amount IS NOT NULL"),
        )

    op.create_table(
        "setting",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    op.create_table(
        "stock_level",
        sa.Column(
            "variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("lot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "on_hand = CAST(on_hand AS BIGINT) AND on_hand BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_stock_level_on_hand_exact"),
        ),
        sa.CheckConstraint(
            "reserved = CAST(reserved AS BIGINT) AND reserved BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_stock_level_reserved_exact"),
        ),
        sa.CheckConstraint("reserved >= 0", name=op.f("ck_stock_level_reserved_positive")),
        sa.PrimaryKeyConstraint("variant_id", "location_id", "lot_id", name=op.f("pk_stock_level")),
    )
    with op.batch_alter_table("stock_level", schema=None) as batch_op:
        batch_op.create_index("ix_stock_level_location", ["location_id", "variant_id", "lot_id"], unique=False)

    op.create_table(
        "tax",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rate", sa.BigInteger(), nullable=False),
        sa.Column("is_inclusive", sa.Boolean(), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "rate = CAST(rate AS BIGINT) AND rate BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_tax_rate_exact"),
        ),
        sa.CheckConstraint("rate BETWEEN 0 AND 10000", name=op.f("ck_tax_rate_fraction")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tax")),
        sa.UniqueConstraint("name", name=op.f("uq_tax_name")),
    )
    with op.batch_alter_table("tax", schema=None) as batch_op:
        batch_op.create_index(
            "ux_tax_default",
            ["is_default"],
            unique=True,
            postgresql_where=sa.text("is_default"),
            sqlite_where=sa.text("is_default"),
        )

    op.create_table(
        "unit",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("precision", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("precision BETWEEN 0 AND 4", name=op.f("ck_unit_precision")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_unit")),
        sa.UniqueConstraint("code", name=op.f("uq_unit_code")),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_worker")),
    )
    op.create_table(
        "role_permission",
        sa.Column("role_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_role_permission_role_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("role_id", "permission", name=op.f("pk_role_permission")),
    )
    op.create_table(
        "stock_document",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("to_warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["to_warehouse_id"], ["location.id"], name=op.f("fk_stock_document_to_warehouse_id")),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_stock_document_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_document")),
        sa.UniqueConstraint("number", name=op.f("uq_stock_document_number")),
    )
    with op.batch_alter_table("stock_document", schema=None) as batch_op:
        batch_op.create_index("ix_stock_document_actor", ["actor_id", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_stock_document_kind", ["kind", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_stock_document_occurred", ["occurred_at", "id"], unique=False)
        batch_op.create_index("ix_stock_document_warehouse", ["warehouse_id", "occurred_at", "id"], unique=False)
        batch_op.create_index(
            "ix_stock_document_to_warehouse",
            ["to_warehouse_id", "occurred_at", "id"],
            unique=False,
            postgresql_where=sa.text("to_warehouse_id IS NOT NULL"),
            sqlite_where=sa.text("to_warehouse_id IS NOT NULL"),
        )

    op.create_table(
        "user_account",
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("pin_hash", sa.Text(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("party_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("all_warehouses", sa.Boolean(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"], name=op.f("fk_user_account_party_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user_account")),
        sa.UniqueConstraint("email", name=op.f("uq_user_account_email")),
    )
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.create_index(
            "ix_user_account_pin",
            ["id"],
            unique=False,
            postgresql_where=sa.text("pin_hash IS NOT NULL"),
            sqlite_where=sa.text("pin_hash IS NOT NULL"),
        )

    op.create_table(
        "api_key",
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("scopes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("warehouse_ids", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("device", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_api_key_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("prefix", name=op.f("uq_api_key_prefix")),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_api_key_user_id"), ["user_id"], unique=False)

    op.create_table(
        "product",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("category_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("unit_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tax_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=False),
        sa.Column("list_price", sa.BigInteger(), nullable=True),
        sa.Column("cost_price", sa.BigInteger(), nullable=True),
        sa.Column("attributes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("tracking", sa.Text(), nullable=False),
        sa.Column("price_mode", sa.Text(), nullable=False),
        sa.Column("low_stock_threshold", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reject_reason", sa.Text(), nullable=False),
        sa.Column("approved_terms", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True),
        sa.Column("owner_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("last_price", sa.BigInteger(), nullable=True),
        sa.Column("has_variants", sa.Boolean(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.CheckConstraint("price_mode IN ('list','bounded','open')", name=op.f("ck_product_price_mode")),
        sa.CheckConstraint("status IN ('pending','published','rejected','archived')", name=op.f("ck_product_status")),
        sa.CheckConstraint("tracking IN ('none','quantity','lot')", name=op.f("ck_product_tracking")),
        sa.CheckConstraint(
            "cost_price = CAST(cost_price AS BIGINT) AND cost_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_product_cost_price_exact"),
        ),
        sa.CheckConstraint("cost_price >= 0", name=op.f("ck_product_cost_price_positive")),
        sa.CheckConstraint(
            "last_price = CAST(last_price AS BIGINT) AND last_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_product_last_price_exact"),
        ),
        sa.CheckConstraint(
            "list_price = CAST(list_price AS BIGINT) AND list_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_product_list_price_exact"),
        ),
        sa.CheckConstraint("list_price >= 0", name=op.f("ck_product_list_price_positive")),
        sa.CheckConstraint(
            "low_stock_threshold = CAST(low_stock_threshold AS BIGINT) AND low_stock_threshold BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_product_low_stock_threshold_exact"),
        ),
        sa.CheckConstraint("low_stock_threshold >= 0", name=op.f("ck_product_low_stock_threshold_positive")),
        sa.CheckConstraint(
            "price = CAST(price AS BIGINT) AND price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_product_price_exact"),
        ),
        sa.CheckConstraint("price >= 0", name=op.f("ck_product_price_positive")),
        sa.ForeignKeyConstraint(["category_id"], ["category.id"], name=op.f("fk_product_category_id")),
        sa.ForeignKeyConstraint(["owner_id"], ["user_account.id"], name=op.f("fk_product_owner_id")),
        sa.ForeignKeyConstraint(["tax_id"], ["tax.id"], name=op.f("fk_product_tax_id")),
        sa.ForeignKeyConstraint(["unit_id"], ["unit.id"], name=op.f("fk_product_unit_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product")),
        sa.UniqueConstraint("sku", name=op.f("uq_product_sku")),
    )
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_category_id"), ["category_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_owner_id"), ["owner_id"], unique=False)
        batch_op.create_index("ix_product_created_at", ["created_at", "id"], unique=False)
        batch_op.create_index("ix_product_name", ["name", "id"], unique=False)
        batch_op.create_index("ix_product_price", ["price", "id"], unique=False)
        batch_op.create_index("ix_product_status", ["status", "id"], unique=False)

    op.create_table(
        "sale_exception",
        sa.Column("external_id", sa.Text(), nullable=True),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("source_device", sa.Text(), nullable=False),
        sa.Column("seller_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("payload", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("attempts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("origin_external_id", sa.Text(), nullable=True),
        sa.Column("sale_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=False),
        sa.Column("resolved_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "status IN ('open','waiting','accepted','discarded')", name=op.f("ck_sale_exception_status")
        ),
        sa.ForeignKeyConstraint(["seller_id"], ["user_account.id"], name=op.f("fk_sale_exception_seller_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_exception")),
        sa.UniqueConstraint("digest", name=op.f("uq_sale_exception_digest")),
    )
    with op.batch_alter_table("sale_exception", schema=None) as batch_op:
        batch_op.create_index("ix_sale_exception_code", ["code", "id"], unique=False)
        batch_op.create_index(batch_op.f("ix_sale_exception_external_id"), ["external_id"], unique=False)
        batch_op.create_index("ix_sale_exception_seen", ["last_seen_at", "id"], unique=False)
        batch_op.create_index("ix_sale_exception_seller", ["seller_id", "id"], unique=False)
        batch_op.create_index("ix_sale_exception_status", ["status", "id"], unique=False)
        batch_op.create_index(
            "ix_sale_exception_waiting",
            ["origin_external_id"],
            unique=False,
            postgresql_where=sa.text("status = 'waiting'"),
            sqlite_where=sa.text("status = 'waiting'"),
        )

    op.create_table(
        "session_family",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("api_key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("revoked_reason", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name=op.f("fk_session_family_api_key_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_session_family_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session_family")),
    )
    with op.batch_alter_table("session_family", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_session_family_user_id"), ["user_id"], unique=False)

    op.create_table(
        "user_role",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("role_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["role.id"], name=op.f("fk_user_role_role_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_user_role_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("pk_user_role")),
    )
    with op.batch_alter_table("user_role", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_user_role_role_id"), ["role_id"], unique=False)

    op.create_table(
        "user_warehouse",
        sa.Column("user_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_user_warehouse_location_id")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_user_warehouse_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "location_id", name=op.f("pk_user_warehouse")),
    )
    op.create_table(
        "product_image",
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("width", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("height", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_product_image_product_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_product_image")),
    )
    with op.batch_alter_table("product_image", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_product_image_product_id"), ["product_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_product_image_sha256"), ["sha256"], unique=False)

    op.create_table(
        "refresh_token",
        sa.Column("family_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("token_hash", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["family_id"], ["session_family.id"], name=op.f("fk_refresh_token_family_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refresh_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_refresh_token_token_hash")),
    )
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_refresh_token_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_refresh_token_family_id"), ["family_id"], unique=False)

    op.create_table(
        "stock_alert",
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("current_stock", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("resolved_by", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("opened_type", sa.Text(), nullable=True),
        sa.Column("opened_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("resolved_type", sa.Text(), nullable=True),
        sa.Column("resolved_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("status IN ('open','resolved')", name=op.f("ck_stock_alert_status")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_alert_product_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_stock_alert_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_alert")),
    )
    with op.batch_alter_table("stock_alert", schema=None) as batch_op:
        batch_op.create_index("ix_stock_alert_product", ["product_id", "id"], unique=False)
        batch_op.create_index("ix_stock_alert_status", ["status", "id"], unique=False)
        batch_op.create_index(
            "ux_stock_alert_open",
            ["product_id", "warehouse_id"],
            unique=True,
            postgresql_where=sa.text("status = 'open'"),
            sqlite_where=sa.text("status = 'open'"),
        )

    op.create_table(
        "stock_policy",
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("policy IN ('block','allow','absorb')", name=op.f("ck_stock_policy_policy")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_policy_product_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_stock_policy_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_policy")),
    )
    op.create_table(
        "stock_threshold",
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("warehouse_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("threshold >= 0", name=op.f("ck_stock_threshold_positive")),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("fk_stock_threshold_product_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["warehouse_id"], ["location.id"], name=op.f("fk_stock_threshold_warehouse_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_threshold")),
        sa.UniqueConstraint("product_id", "warehouse_id", name=op.f("uq_stock_threshold_product_id_warehouse_id")),
    )
    op.create_table(
        "variant",
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_default", sa.Boolean(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("attributes", sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=False),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("cost_price", sa.BigInteger(), nullable=True),
        sa.Column("approved_price", sa.BigInteger(), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "approved_price = CAST(approved_price AS BIGINT) AND approved_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_variant_approved_price_exact"),
        ),
        sa.CheckConstraint(
            "cost_price = CAST(cost_price AS BIGINT) AND cost_price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_variant_cost_price_exact"),
        ),
        sa.CheckConstraint("cost_price >= 0", name=op.f("ck_variant_cost_price_positive")),
        sa.CheckConstraint(
            "price = CAST(price AS BIGINT) AND price BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_variant_price_exact"),
        ),
        sa.CheckConstraint("price >= 0", name=op.f("ck_variant_price_positive")),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("fk_variant_product_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variant")),
        sa.UniqueConstraint("sku", name=op.f("uq_variant_sku")),
    )
    with op.batch_alter_table("variant", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_variant_product_id"), ["product_id"], unique=False)
        batch_op.create_index(
            "ux_variant_default",
            ["product_id"],
            unique=True,
            postgresql_where=sa.text("is_default"),
            sqlite_where=sa.text("is_default"),
        )

    op.create_table(
        "barcode",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("pack_quantity", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "pack_quantity = CAST(pack_quantity AS BIGINT) AND pack_quantity BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_barcode_pack_quantity_exact"),
        ),
        sa.CheckConstraint("pack_quantity > 0", name=op.f("ck_barcode_pack_quantity_positive")),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name=op.f("fk_barcode_variant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_barcode")),
        sa.UniqueConstraint("code", name=op.f("uq_barcode_code")),
        sa.UniqueConstraint("key", name=op.f("uq_barcode_key")),
    )
    with op.batch_alter_table("barcode", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_barcode_variant_id"), ["variant_id"], unique=False)

    op.create_table(
        "lot",
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("batch_number", sa.Text(), nullable=False),
        sa.Column("expiry_date", sa.Date(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name=op.f("fk_lot_variant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lot")),
        sa.UniqueConstraint("variant_id", "batch_number", name=op.f("uq_lot_variant_id_batch_number")),
    )
    with op.batch_alter_table("lot", schema=None) as batch_op:
        batch_op.create_index("ix_lot_batch_number", ["batch_number"], unique=False)
        batch_op.create_index(
            "ix_lot_expiry_date",
            ["expiry_date"],
            unique=False,
            postgresql_where=sa.text("expiry_date IS NOT NULL"),
            sqlite_where=sa.text("expiry_date IS NOT NULL"),
        )

    op.create_table(
        "reservation",
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("location_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("document_type", sa.Text(), nullable=False),
        sa.Column("document_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document_line", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "quantity = CAST(quantity AS BIGINT) AND quantity BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_reservation_quantity_exact"),
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_reservation_positive")),
        sa.ForeignKeyConstraint(["location_id"], ["location.id"], name=op.f("fk_reservation_location_id")),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name=op.f("fk_reservation_variant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservation")),
    )
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.create_index("ix_reservation_document", ["document_type", "document_id"], unique=False)
        batch_op.create_index(
            "ix_reservation_open",
            ["variant_id", "location_id"],
            unique=False,
            postgresql_where=sa.text("released_at IS NULL"),
            sqlite_where=sa.text("released_at IS NULL"),
        )

    op.create_table(
        "stock_movement",
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("destination_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("unit_cost", sa.BigInteger(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True).with_variant(sa.String(27), "sqlite"), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("document_type", sa.Text(), nullable=False),
        sa.Column("document_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("document_line", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("effect", sa.Text(), nullable=False),
        sa.Column("reverses_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint(
            "quantity = CAST(quantity AS BIGINT) AND quantity BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_stock_movement_quantity_exact"),
        ),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_stock_movement_positive")),
        sa.CheckConstraint("source_id <> destination_id", name=op.f("ck_stock_movement_moves")),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name=op.f("fk_stock_movement_variant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_movement")),
        sa.UniqueConstraint(
            "document_type", "document_id", "document_line", "effect", "lot_id", name="uq_stock_movement_effect"
        ),
    )
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.create_index("ix_stock_movement_variant", ["variant_id", "occurred_at", "id"], unique=False)
        batch_op.create_index("ix_stock_movement_occurred", ["occurred_at", "id"], unique=False)
        batch_op.create_index(
            "ix_stock_movement_lot",
            ["lot_id", "occurred_at", "id"],
            unique=False,
            postgresql_where=sa.text("lot_id <> 0"),
            sqlite_where=sa.text("lot_id <> 0"),
        )
        batch_op.create_index(
            "ix_stock_movement_kind",
            ["document_type", "occurred_at", "id"],
            unique=False,
            postgresql_where=sa.text("channel IS NULL"),
            sqlite_where=sa.text("channel IS NULL"),
        )
        batch_op.create_index(
            "ix_stock_movement_stocked",
            ["variant_id", "lot_id", "document_id"],
            unique=False,
            postgresql_where=sa.text("channel IS NULL"),
            sqlite_where=sa.text("channel IS NULL"),
        )
        batch_op.create_index(
            "ix_stock_movement_reverses",
            ["reverses_id"],
            unique=False,
            postgresql_where=sa.text("reverses_id IS NOT NULL"),
            sqlite_where=sa.text("reverses_id IS NOT NULL"),
        )

    op.create_table(
        "stock_count_line",
        sa.Column("document_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("line_number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("product_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("variant_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("lot_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("expected", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.CheckConstraint("counted >= 0", name=op.f("ck_stock_count_line_counted")),
        sa.CheckConstraint(
            "counted = CAST(counted AS BIGINT) AND counted BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_stock_count_line_counted_exact"),
        ),
        sa.CheckConstraint(
            "expected = CAST(expected AS BIGINT) AND expected BETWEEN -999999999999999 AND 999999999999999",
            name=op.f("ck_stock_count_line_expected_exact"),
        ),
        sa.ForeignKeyConstraint(["variant_id"], ["variant.id"], name=op.f("fk_stock_count_line_variant_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_count_line")),
        sa.UniqueConstraint("document_id", "line_number", name=op.f("uq_stock_count_line_document_id_line_number")),
        sa.UniqueConstraint(
            "variant_id", "lot_id", "document_id", name=op.f("uq_stock_count_line_variant_id_lot_id_document_id")
        ),
    )

    append_only("audit_entry")
    append_only("sale")
    append_only("sale_line")
    append_only("sale_payment")
    append_only("sale_sent")
    append_only("stock_count_line")
    append_only("stock_document")
    op.create_index(
        "ux_stock_policy_key",
        "stock_policy",
        [
            sa.literal_column("coalesce(product_id, 0)"),
            sa.literal_column("coalesce(warehouse_id, 0)"),
            sa.literal_column("coalesce(channel, '')"),
        ],
        unique=True,
    )
    append_only("stock_movement")
    _fixed_rows()


def _fixed_rows() -> None:
    """Write the rows that are always there: the epoch, the rollups' calendar, and the virtual locations."""
    op.execute("INSERT INTO epoch (id, value) VALUES (1, 1)")
    op.execute("INSERT INTO rollup_calendar (id, timezone, day_cutoff_hour) VALUES (1, '', 0)")
    for key, kind in {-1: "vendor", -2: "customer", -3: "adjustment", -4: "scrap", -5: "transit"}.items():
        op.execute(
            "INSERT INTO location (id, kind, name, address, is_active, created_at, updated_at)"
            f" VALUES ({key}, '{kind}', '({kind})', '', true, '{_AT}', '{_AT}')"
        )


def downgrade() -> None:
    allow_changes("stock_count_line")
    op.drop_table("stock_count_line")
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_stock_movement_reverses",
            postgresql_where=sa.text("reverses_id IS NOT NULL"),
            sqlite_where=sa.text("reverses_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_stock_movement_lot",
            postgresql_where=sa.text("lot_id <> 0"),
            sqlite_where=sa.text("lot_id <> 0"),
        )
        batch_op.drop_index(
            "ix_stock_movement_kind",
            postgresql_where=sa.text("channel IS NULL"),
            sqlite_where=sa.text("channel IS NULL"),
        )
        batch_op.drop_index(
            "ix_stock_movement_stocked",
            postgresql_where=sa.text("channel IS NULL"),
            sqlite_where=sa.text("channel IS NULL"),
        )
        batch_op.drop_index("ix_stock_movement_occurred")
        batch_op.drop_index("ix_stock_movement_variant")

    allow_changes("stock_movement")
    op.drop_table("stock_movement")
    with op.batch_alter_table("reservation", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_reservation_open",
            postgresql_where=sa.text("released_at IS NULL"),
            sqlite_where=sa.text("released_at IS NULL"),
        )
        batch_op.drop_index("ix_reservation_document")

    op.drop_table("reservation")
    with op.batch_alter_table("lot", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_lot_expiry_date",
            postgresql_where=sa.text("expiry_date IS NOT NULL"),
            sqlite_where=sa.text("expiry_date IS NOT NULL"),
        )
        batch_op.drop_index("ix_lot_batch_number")

    op.drop_table("lot")
    with op.batch_alter_table("barcode", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_barcode_variant_id"))

    op.drop_table("barcode")
    with op.batch_alter_table("variant", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_variant_default", postgresql_where=sa.text("is_default"), sqlite_where=sa.text("is_default")
        )
        batch_op.drop_index(batch_op.f("ix_variant_product_id"))

    op.drop_table("variant")
    op.drop_table("stock_threshold")
    op.drop_table("stock_policy")
    with op.batch_alter_table("stock_alert", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_stock_alert_open", postgresql_where=sa.text("status = 'open'"), sqlite_where=sa.text("status = 'open'")
        )
        batch_op.drop_index("ix_stock_alert_status")
        batch_op.drop_index("ix_stock_alert_product")

    op.drop_table("stock_alert")
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_refresh_token_family_id"))
        batch_op.drop_index(batch_op.f("ix_refresh_token_expires_at"))

    op.drop_table("refresh_token")
    with op.batch_alter_table("product_image", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_product_image_sha256"))
        batch_op.drop_index(batch_op.f("ix_product_image_product_id"))

    op.drop_table("product_image")
    op.drop_table("user_warehouse")
    with op.batch_alter_table("user_role", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_user_role_role_id"))

    op.drop_table("user_role")
    with op.batch_alter_table("session_family", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_session_family_user_id"))

    op.drop_table("session_family")
    op.drop_table("sale_device_gap")
    op.drop_table("sale_device")
    with op.batch_alter_table("sale_exception", schema=None) as batch_op:
        batch_op.drop_index("ix_sale_exception_waiting")
        batch_op.drop_index("ix_sale_exception_status")
        batch_op.drop_index("ix_sale_exception_seller")
        batch_op.drop_index("ix_sale_exception_seen")
        batch_op.drop_index(batch_op.f("ix_sale_exception_external_id"))
        batch_op.drop_index("ix_sale_exception_code")

    op.drop_table("sale_exception")
    with op.batch_alter_table("product", schema=None) as batch_op:
        batch_op.drop_index("ix_product_status")
        batch_op.drop_index("ix_product_price")
        batch_op.drop_index("ix_product_name")
        batch_op.drop_index("ix_product_created_at")
        batch_op.drop_index(batch_op.f("ix_product_owner_id"))
        batch_op.drop_index(batch_op.f("ix_product_category_id"))

    op.drop_table("product")
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_api_key_user_id"))

    op.drop_table("api_key")
    with op.batch_alter_table("user_account", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_user_account_pin",
            postgresql_where=sa.text("pin_hash IS NOT NULL"),
            sqlite_where=sa.text("pin_hash IS NOT NULL"),
        )

    op.drop_table("user_account")
    allow_changes("stock_document")
    with op.batch_alter_table("stock_document", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_stock_document_to_warehouse",
            postgresql_where=sa.text("to_warehouse_id IS NOT NULL"),
            sqlite_where=sa.text("to_warehouse_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_stock_document_warehouse")
        batch_op.drop_index("ix_stock_document_occurred")
        batch_op.drop_index("ix_stock_document_kind")
        batch_op.drop_index("ix_stock_document_actor")

    op.drop_table("stock_document")
    op.drop_table("role_permission")
    op.drop_table("worker")
    op.drop_table("unit")
    with op.batch_alter_table("tax", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_tax_default", postgresql_where=sa.text("is_default"), sqlite_where=sa.text("is_default")
        )

    op.drop_table("tax")
    with op.batch_alter_table("stock_level", schema=None) as batch_op:
        batch_op.drop_index("ix_stock_level_location")

    op.drop_table("stock_level")
    op.drop_table("setting")
    with op.batch_alter_table("sale_payment", schema=None) as batch_op:
        batch_op.drop_index("ix_sale_payment_sale")
        batch_op.drop_index("ix_sale_payment_method")

    allow_changes("sale_payment")
    op.drop_table("sale_payment")
    with op.batch_alter_table("sale_sent", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_sale_sent_differing",
            postgresql_where=sa.text("subtotal IS NOT NULL OR tax_amount IS NOT NULL OR total_amount IS NOT NULL"),
            sqlite_where=sa.text("subtotal IS NOT NULL OR tax_amount IS NOT NULL OR total_amount IS NOT NULL"),
        )

    allow_changes("sale_sent")
    op.drop_table("sale_sent")
    with op.batch_alter_table("sale_line", schema=None) as batch_op:
        batch_op.drop_index("ix_sale_line_sale")
        batch_op.drop_index("ix_sale_line_product")
        batch_op.drop_index(
            "ix_sale_line_origin",
            postgresql_where=sa.text("origin_line_id IS NOT NULL"),
            sqlite_where=sa.text("origin_line_id IS NOT NULL"),
        )

    allow_changes("sale_line")
    op.drop_table("sale_line")
    with op.batch_alter_table("sale", schema=None) as batch_op:
        batch_op.drop_index(
            "ux_sale_cancellation",
            postgresql_where=sa.text("kind = 'cancellation'"),
            sqlite_where=sa.text("kind = 'cancellation'"),
        )
        batch_op.drop_index(
            "ix_sale_total_back",
            postgresql_where=sa.text("kind IN ('return','cancellation')"),
            sqlite_where=sa.text("kind IN ('return','cancellation')"),
        )
        batch_op.drop_index(
            "ix_sale_kind",
            postgresql_where=sa.text("origin_id IS NOT NULL"),
            sqlite_where=sa.text("origin_id IS NOT NULL"),
        )
        batch_op.drop_index("ix_sale_device")
        batch_op.drop_index("ix_sale_created")
        batch_op.drop_index(
            "ix_sale_total",
            postgresql_where=sa.text("kind IN ('sale','exchange')"),
            sqlite_where=sa.text("kind IN ('sale','exchange')"),
        )
        batch_op.drop_index("ix_sale_seller")
        batch_op.drop_index("ix_sale_place")
        batch_op.drop_index(
            "ix_sale_name",
            postgresql_where=sa.text("customer_name <> '' OR customer_phone <> ''"),
            sqlite_where=sa.text("customer_name <> '' OR customer_phone <> ''"),
        )
        batch_op.drop_index(
            "ix_sale_customer",
            postgresql_where=sa.text("customer_id IS NOT NULL"),
            sqlite_where=sa.text("customer_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_sale_origin",
            postgresql_where=sa.text("origin_id IS NOT NULL"),
            sqlite_where=sa.text("origin_id IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_sale_device_number",
            postgresql_where=sa.text("device_number IS NOT NULL"),
            sqlite_where=sa.text("device_number IS NOT NULL"),
        )
        batch_op.drop_index("ix_sale_date")

    allow_changes("sale")
    op.drop_table("sale")
    op.drop_table("sale_uncounted")
    op.drop_table("sale_name")
    op.drop_table("rollup_tender")
    op.drop_table("rollup_tax")
    with op.batch_alter_table("rollup_product", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_rollup_product_day", postgresql_where=sa.text("length <= 1"), sqlite_where=sa.text("length <= 1")
        )

    op.drop_table("rollup_product")
    op.drop_table("rollup_day")
    op.drop_table("rollup_calendar")
    op.drop_table("role")
    op.drop_table("payment_method")
    op.drop_table("party")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_outbox_unsequenced", postgresql_where=sa.text("seq IS NULL"), sqlite_where=sa.text("seq IS NULL")
        )

    op.drop_table("outbox")
    op.drop_table("number_series")
    op.drop_table("module")
    with op.batch_alter_table("login_attempt", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_login_attempt_last_failed_at"))

    op.drop_table("login_attempt")
    op.drop_table("location")
    op.drop_table("known_permission")
    op.drop_table("product_import")
    op.drop_table("job")
    with op.batch_alter_table("idempotency_key", schema=None) as batch_op:
        batch_op.drop_index("ix_idempotency_key_created_at")

    op.drop_table("idempotency_key")
    op.drop_table("epoch")
    op.drop_table("consumer_cursor")
    op.drop_table("category")
    with op.batch_alter_table("audit_entry", schema=None) as batch_op:
        batch_op.drop_index("ix_audit_entry_entity")
        batch_op.drop_index(batch_op.f("ix_audit_entry_created_at"))
        batch_op.drop_index("ix_audit_entry_actor")
        batch_op.drop_index("ix_audit_entry_action")

    allow_changes("audit_entry")
    op.drop_table("audit_entry")
