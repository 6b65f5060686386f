"""Calls of tasks that flows hand to workers on other computers"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_job",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("order", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("worker_id", sa.UUID(), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.Column("lost", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_job")),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_task_job_flow_run_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["worker_id"], ["flow_run.id"], name=op.f("fk_task_job_worker_id"), ondelete="SET NULL"
        ),
        sa.CheckConstraint(
            "(ended IS NULL) = (outcome IS NULL AND lost IS NULL)", name=op.f("ck_task_job_ended_with_outcome")
        ),
    )
    for name, columns, condition in (
        ("ix_task_job_open", ["flow_run_id", "id"], "ended IS NULL"),
        ("ix_task_job_ended", ["flow_run_id", "ended"], "ended IS NOT NULL"),
        ("ix_task_job_worker", ["worker_id"], "worker_id IS NOT NULL"),
    ):
        op.create_index(name, "task_job", columns, postgresql_where=sa.text(condition))


def downgrade() -> None:
    op.drop_table("task_job")
