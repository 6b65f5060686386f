"""Tries and crashes are counted with the run; deployments say how many crashes are made good."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flow_run", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.add_column("flow_run", sa.Column("crashes", sa.Integer(), server_default="0", nullable=False))
    op.add_column("deployment", sa.Column("crash_retries", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("deployment", "crash_retries")
    op.drop_column("flow_run", "crashes")
    op.drop_column("flow_run", "tries")
