"""Results of task runs, by what later attempts find them, and the cache of results across runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task_run", sa.Column("result", postgresql.JSONB(), nullable=True))
    op.add_column("task_run", sa.Column("call_key", sa.Text(), nullable=True))
    op.add_column("flow_run", sa.Column("call_key", sa.Text(), nullable=True))
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "cached_result",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("task_key", sa.Text(), nullable=False),
        sa.Column("result", postgresql.JSONB(), nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=True),
        sa.Column("task_run_id", sa.UUID(), nullable=True),
        sa.Column("expires", instant, nullable=True),
        sa.Column("created", instant, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cached_result"),
    )
    op.create_index("ix_cached_result_created", "cached_result", ["created"])
    op.create_index(
        "ix_cached_result_expires", "cached_result", ["expires"], postgresql_where=sa.text("expires IS NOT NULL")
    )
    op.create_table(
        "cache_lock",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("holder", sa.UUID(), nullable=False),
        sa.Column("until", instant, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_cache_lock"),
    )


def downgrade() -> None:
    op.drop_table("cache_lock")
    op.drop_table("cached_result")
    op.drop_column("flow_run", "call_key")
    op.drop_column("task_run", "call_key")
    op.drop_column("task_run", "result")
