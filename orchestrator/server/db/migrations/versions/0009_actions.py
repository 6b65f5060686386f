"""actions as they were asked for, and their targets"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action_target",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_action_target")),
    )
    op.add_column(
        "action", sa.Column("rendered", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.create_index("ix_firing_event", "firing", ["event_id"], postgresql_where=sa.text("event_id IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("ix_firing_event", table_name="firing", postgresql_where=sa.text("event_id IS NOT NULL"))
    op.drop_column("action", "rendered")
    op.drop_table("action_target")
