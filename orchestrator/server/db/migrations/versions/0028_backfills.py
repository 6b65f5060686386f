"""Backfills, and the runs that they made"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "backfill",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("deployment_id", sa.Uuid(), nullable=False),
        sa.Column("schedule_id", sa.Uuid(), nullable=True),
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("starts", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=False),
        sa.Column("parameters", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("max_active", sa.Integer(), nullable=False),
        sa.Column("backwards", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("reprocess", sa.Text(), nullable=False),
        sa.Column("skipped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancelled", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("max_active > 0", name=op.f("ck_backfill_max_active_positive")),
        sa.CheckConstraint("reprocess IN ('none', 'failed', 'completed')", name=op.f("ck_backfill_reprocess")),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_backfill_deployment_id_deployment"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_backfill_schedule_id_schedule"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backfill")),
    )
    op.create_index("ix_backfill_deployment", "backfill", ["deployment_id", sa.text("id DESC")])
    op.create_index("ix_backfill_schedule", "backfill", ["schedule_id"])
    op.add_column("flow_run", sa.Column("backfill_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        op.f("fk_flow_run_backfill_id_backfill"), "flow_run", "backfill", ["backfill_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index(
        "uq_flow_run_backfill_slot",
        "flow_run",
        ["backfill_id", "slot"],
        unique=True,
        postgresql_where=sa.text("backfill_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("uq_flow_run_backfill_slot", "flow_run")
    op.drop_column("flow_run", "backfill_id")
    op.drop_table("backfill")
