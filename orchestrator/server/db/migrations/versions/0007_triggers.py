"""triggers, their firings and actions"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trigger",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=True),
        sa.Column(
            "condition", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column(
            "actions", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column(
            "resolve_actions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("severity", sa.Text(), server_default="warning", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("muted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("debounce_s", sa.Double(), server_default="0", nullable=False),
        sa.Column("hourly_max", sa.Integer(), server_default="1000", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("ck_trigger_severity")),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_trigger_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trigger")),
    )
    op.create_index("uq_trigger_deployment_id_name", "trigger", ["deployment_id", "name"], unique=True)
    op.create_index(
        "uq_trigger_name", "trigger", ["name"], unique=True, postgresql_where=sa.text("deployment_id IS NULL")
    )
    op.create_table(
        "firing",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("trigger_id", sa.UUID(), nullable=True),
        sa.Column("key", sa.Text(), server_default="[]", nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("suppressed", sa.Text(), server_default="", nullable=False),
        sa.Column("fired", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("occurred", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=True),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "context", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("chain_id", sa.UUID(), nullable=False),
        sa.Column("depth", sa.Integer(), server_default="0", nullable=False),
        sa.Column("resolved", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("state IN ('open', 'resolved', 'suppressed')", name=op.f("ck_firing_state")),
        sa.ForeignKeyConstraint(["trigger_id"], ["trigger.id"], name=op.f("fk_firing_trigger_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_firing")),
        sa.UniqueConstraint("trigger_id", "occasion", name=op.f("uq_firing_trigger_id_occasion")),
    )
    op.create_index("ix_firing_chain", "firing", ["chain_id"])
    op.create_index("ix_firing_open", "firing", ["trigger_id", "key"], postgresql_where=sa.text("state = 'open'"))
    op.create_index("ix_firing_trigger", "firing", ["trigger_id", sa.literal_column("id DESC")])
    op.create_table(
        "trigger_bucket",
        sa.Column("trigger_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "state", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["trigger_id"], ["trigger.id"], name=op.f("fk_trigger_bucket_trigger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trigger_id", "key", name=op.f("pk_trigger_bucket")),
    )
    op.create_index(
        "ix_trigger_bucket_deadline", "trigger_bucket", ["deadline"], postgresql_where=sa.text("deadline IS NOT NULL")
    )
    op.create_table(
        "action",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("firing_id", sa.UUID(), nullable=False),
        sa.Column("moment", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "spec", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try", sa.DateTime(timezone=True), nullable=True),
        sa.Column("target", sa.Text(), server_default="", nullable=False),
        sa.Column("errand_id", sa.UUID(), nullable=True),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("moment IN ('fire', 'resolve')", name=op.f("ck_action_moment")),
        sa.CheckConstraint(
            "state IN ('waiting', 'running', 'done', 'given-up', 'skipped')", name=op.f("ck_action_state")
        ),
        sa.ForeignKeyConstraint(["errand_id"], ["flow_run.id"], name=op.f("fk_action_errand_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["firing_id"], ["firing.id"], name=op.f("fk_action_firing_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_action")),
        sa.UniqueConstraint("firing_id", "moment", "position", name=op.f("uq_action_firing_id_moment_position")),
    )
    op.create_index(
        "ix_action_due", "action", ["next_try"], postgresql_where=sa.text("state IN ('waiting', 'running')")
    )
    op.create_index("ix_action_errand", "action", ["errand_id"], postgresql_where=sa.text("errand_id IS NOT NULL"))
    op.create_index("ix_action_state", "action", ["state", sa.literal_column("id DESC")])
    op.add_column("flow_run", sa.Column("chain_id", sa.UUID(), nullable=True))
    op.add_column("flow_run", sa.Column("chain_depth", sa.Integer(), server_default="0", nullable=False))
    op.create_index("ix_flow_run_chain", "flow_run", ["chain_id"], postgresql_where=sa.text("chain_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_flow_run_chain", table_name="flow_run", postgresql_where=sa.text("chain_id IS NOT NULL"))
    op.drop_column("flow_run", "chain_depth")
    op.drop_column("flow_run", "chain_id")
    op.drop_index("ix_action_state", table_name="action")
    op.drop_index("ix_action_errand", table_name="action", postgresql_where=sa.text("errand_id IS NOT NULL"))
    op.drop_index("ix_action_due", table_name="action", postgresql_where=sa.text("state IN ('waiting', 'running')"))
    op.drop_table("action")
    op.drop_index(
        "ix_trigger_bucket_deadline", table_name="trigger_bucket", postgresql_where=sa.text("deadline IS NOT NULL")
    )
    op.drop_table("trigger_bucket")
    op.drop_index("ix_firing_trigger", table_name="firing")
    op.drop_index("ix_firing_open", table_name="firing", postgresql_where=sa.text("state = 'open'"))
    op.drop_index("ix_firing_chain", table_name="firing")
    op.drop_table("firing")
    op.drop_index("uq_trigger_name", table_name="trigger", postgresql_where=sa.text("deployment_id IS NULL"))
    op.drop_index("uq_trigger_deployment_id_name", table_name="trigger")
    op.drop_table("trigger")
