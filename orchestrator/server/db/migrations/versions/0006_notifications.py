"""notifications, and cursors over events"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from orchestrator.server.db.models.event import Xid8

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "event_cursor",
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("cluster", sa.BigInteger(), nullable=False),
        sa.Column("xid", Xid8(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("floor", sa.UUID(), nullable=False),
        sa.PrimaryKeyConstraint("reader", name=op.f("pk_event_cursor")),
    )
    op.create_table(
        "deployment_notification",
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("states", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"],
            ["deployment.id"],
            name=op.f("fk_deployment_notification_deployment_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_deployment_notification_block_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("deployment_id", "block_id", name=op.f("pk_deployment_notification")),
    )
    op.create_index(op.f("ix_deployment_notification_block_id"), "deployment_notification", ["block_id"])
    op.create_table(
        "notification",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=False),
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.Column("block", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=True),
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("run_state", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try", sa.DateTime(timezone=True), nullable=True),
        sa.Column("errand_id", sa.UUID(), nullable=True),
        sa.Column("sent", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_up", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("state IN ('waiting', 'sending', 'sent', 'given-up')", name=op.f("ck_notification_state")),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_notification_deployment_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_notification_flow_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["errand_id"], ["flow_run.id"], name=op.f("fk_notification_errand_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("event_id", "block_id", name=op.f("uq_notification_event_id_block_id")),
    )
    op.create_index(
        "ix_notification_due",
        "notification",
        ["next_try"],
        postgresql_where=sa.text("state IN ('waiting', 'sending')"),
    )
    op.create_index("ix_notification_state", "notification", ["state", sa.text("id DESC")])
    op.create_index("ix_notification_flow_run", "notification", ["flow_run_id"])
    op.create_index(
        "ix_notification_deployment",
        "notification",
        ["deployment_id"],
        postgresql_where=sa.text("deployment_id IS NOT NULL"),
    )
    op.create_index(
        "ix_notification_errand", "notification", ["errand_id"], postgresql_where=sa.text("errand_id IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_table("notification")
    op.drop_table("deployment_notification")
    op.drop_table("event_cursor")
