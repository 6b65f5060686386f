"""Kinds and sources of events, and the relations that they tell of."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("event", sa.Column("kind", sa.Text(), server_default="operation", nullable=False))
    op.add_column("event", sa.Column("source", sa.Text(), server_default="tower", nullable=False))
    op.add_column(
        "event",
        sa.Column(
            "relations", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
    )
    op.create_check_constraint(
        op.f("ck_event_kind"), "event", "kind IN ('action', 'operation', 'heartbeat', 'relationship')"
    )
    op.create_check_constraint(
        op.f("ck_event_source"), "event", "source IN ('tower', 'run', 'key', 'webhook', 'lineage', 'block', 'trigger')"
    )
    op.create_index("ix_event_action", "event", ["id"], postgresql_where=sa.text("kind = 'action'"))
    op.create_index("ix_event_heartbeat", "event", ["id"], postgresql_where=sa.text("kind = 'heartbeat'"))


def downgrade() -> None:
    op.drop_index("ix_event_heartbeat", table_name="event", postgresql_where=sa.text("kind = 'heartbeat'"))
    op.drop_index("ix_event_action", table_name="event", postgresql_where=sa.text("kind = 'action'"))
    op.drop_constraint(op.f("ck_event_source"), "event")
    op.drop_constraint(op.f("ck_event_kind"), "event")
    op.drop_column("event", "relations")
    op.drop_column("event", "source")
    op.drop_column("event", "kind")
