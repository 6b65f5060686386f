"""use of blocks, variables, limits"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("block", sa.Column("secrets_key", sa.Text(), nullable=True))
    op.add_column("deployment", sa.Column("not_ready", sa.Text(), nullable=True))
    op.create_table(
        "block_load",
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("loader", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("flow", sa.Text(), nullable=True),
        sa.Column("deployment", sa.Text(), nullable=True),
        sa.Column("count", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("last", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["block_id"], ["block.id"], name=op.f("fk_block_load_block_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("block_id", "day", "kind", "loader", name=op.f("pk_block_load")),
    )
    op.create_index(op.f("ix_block_load_day"), "block_load", ["day"], unique=False)
    op.create_table(
        "block_change",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("by", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column(
            "fields", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.CheckConstraint("verb IN ('created', 'updated', 'rotated')", name=op.f("ck_block_change_verb")),
        sa.ForeignKeyConstraint(["block_id"], ["block.id"], name=op.f("fk_block_change_block_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_change")),
    )
    op.create_index(op.f("ix_block_change_at"), "block_change", ["at"], unique=False)
    op.create_index("ix_block_change_block", "block_change", ["block_id", sa.text("id DESC")], unique=False)
    op.create_table(
        "template_reference",
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_template_reference_block_id"), ondelete="RESTRICT"
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployment.id"],
            name=op.f("fk_template_reference_deployment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("deployment_id", "field", "block_id", name=op.f("pk_template_reference")),
    )
    op.create_index(op.f("ix_template_reference_block_id"), "template_reference", ["block_id"], unique=False)
    op.create_table(
        "variable",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_variable")),
        sa.UniqueConstraint("name", name=op.f("uq_variable_name")),
    )
    op.create_table(
        "resource_limit",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("block_id", sa.UUID(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("slots > 0", name=op.f("ck_resource_limit_slots")),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_resource_limit_block_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_limit")),
        sa.UniqueConstraint("block_id", name=op.f("uq_resource_limit_block_id")),
        sa.UniqueConstraint("name", name=op.f("uq_resource_limit_name")),
    )
    op.create_table(
        "limit_lease",
        sa.Column("limit_id", sa.UUID(), nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("taken", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_limit_lease_flow_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["limit_id"], ["resource_limit.id"], name=op.f("fk_limit_lease_limit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("limit_id", "flow_run_id", "attempt", name=op.f("pk_limit_lease")),
    )
    op.create_index(op.f("ix_limit_lease_flow_run_id"), "limit_lease", ["flow_run_id"], unique=False)
    # Asked for each block: which deployments refer to it.
    op.create_index(op.f("ix_deployment_storage_block_id"), "deployment", ["storage_block_id"], unique=False)
    op.create_index(
        op.f("ix_deployment_infrastructure_block_id"), "deployment", ["infrastructure_block_id"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_deployment_infrastructure_block_id"), table_name="deployment")
    op.drop_index(op.f("ix_deployment_storage_block_id"), table_name="deployment")
    op.drop_table("limit_lease")
    op.drop_table("resource_limit")
    op.drop_table("variable")
    op.drop_table("template_reference")
    op.drop_table("block_change")
    op.drop_table("block_load")
    op.drop_column("deployment", "not_ready")
    op.drop_column("block", "secrets_key")
