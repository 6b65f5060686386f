"""How schedules are gone by: bounds, calendars, jitter, catching up, overlap"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("starts", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ends", sa.DateTime(timezone=True), nullable=True),
        sa.Column("calendar", sa.Text(), server_default="", nullable=False),
        sa.Column("skip_dates", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("jitter_s", sa.Double(), server_default="0", nullable=False),
        sa.Column("catch_up", sa.Text(), server_default="latest", nullable=False),
        sa.Column("catch_up_s", sa.Double(), nullable=True),
        sa.Column("overlap", sa.Text(), server_default="allow", nullable=False),
        sa.Column("pause_on_failure", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
    )


def upgrade() -> None:
    for column in _columns():
        op.add_column("schedule", column)
    op.create_check_constraint(
        op.f("ck_schedule_window"), "schedule", "(catch_up = 'window') = (catch_up_s IS NOT NULL)"
    )
    op.create_index(
        "ix_flow_run_schedule_open",
        "flow_run",
        ["schedule_id", "slot"],
        postgresql_where=sa.text(
            "schedule_id IS NOT NULL AND NOT (state_type IN ('CANCELLED', 'COMPLETED', 'CRASHED', 'FAILED'))"
        ),
    )


def downgrade() -> None:
    op.drop_index("ix_flow_run_schedule_open", "flow_run")
    op.drop_constraint(op.f("ck_schedule_window"), "schedule")
    for column in reversed(_columns()):
        op.drop_column("schedule", column.name)
