"""Hooks of ends that nobody called: who has undertaken to, and which an agent is to be sent for"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flow_run", sa.Column("hooks", sa.ARRAY(sa.Text()), nullable=True))
    op.add_column("flow_run", sa.Column("hooks_called", sa.Integer(), server_default="0", nullable=False))
    op.add_column("flow_run", sa.Column("hooks_left", postgresql.JSONB(), nullable=True))
    op.create_index("ix_flow_run_hooks_left", "flow_run", ["id"], postgresql_where=sa.text("hooks_left IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_flow_run_hooks_left", "flow_run")
    for name in ("hooks_left", "hooks_called", "hooks"):
        op.drop_column("flow_run", name)
