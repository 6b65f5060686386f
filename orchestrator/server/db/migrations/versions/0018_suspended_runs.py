"""When the suspension of a flow run times out."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("flow_run", sa.Column("suspended_until", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_flow_run_suspended",
        "flow_run",
        ["suspended_until"],
        postgresql_where=sa.text("suspended_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_flow_run_suspended", table_name="flow_run")
    op.drop_column("flow_run", "suspended_until")
