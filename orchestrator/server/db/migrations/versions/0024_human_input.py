"""Questions and messages of flow runs; a run that is paused is held by its process"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_ACTIVE = "state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"
_HELD = f"({_ACTIVE} OR (state_type = 'PAUSED' AND state_name <> 'Suspended'))"
_WAITS_BY_HAND = "(state_type = 'SCHEDULED' AND work_queue_id IS NULL)"


def upgrade() -> None:
    _questions()
    _messages()
    _hold(_HELD)


def downgrade() -> None:
    op.execute("UPDATE flow_run SET lease_until = NULL WHERE state_type = 'PAUSED'")
    _hold(_ACTIVE)
    op.drop_table("flow_message")
    op.drop_table("flow_question")


def _hold(condition: str) -> None:
    op.drop_constraint(op.f("ck_flow_run_lease_when_active"), "flow_run")
    op.create_check_constraint(
        op.f("ck_flow_run_lease_when_active"), "flow_run", f"lease_until IS NULL OR {condition} OR {_WAITS_BY_HAND}"
    )
    op.drop_index("ix_flow_run_active", table_name="flow_run")
    op.create_index("ix_flow_run_active", "flow_run", ["state_type", "id"], postgresql_where=sa.text(condition))


def _questions() -> None:
    op.create_table(
        "flow_question",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("schema", postgresql.JSONB(), nullable=True),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("has_default", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("default", postgresql.JSONB(), nullable=True),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("problems", postgresql.JSONB(), nullable=True),
        sa.Column("answer", postgresql.JSONB(), nullable=True),
        sa.Column("asked", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("answered", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answered_by", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_question")),
        sa.UniqueConstraint("flow_run_id", "key", name=op.f("uq_flow_question_flow_run_id_key")),
        sa.CheckConstraint(
            "state IN ('pending', 'answered', 'timed-out', 'withdrawn')", name=op.f("ck_flow_question_state")
        ),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_flow_question_flow_run_id"), ondelete="CASCADE"
        ),
    )
    op.create_index(
        "uq_flow_question_pending", "flow_question", ["flow_run_id"], unique=True,
        postgresql_where=sa.text("state = 'pending'"),
    )  # fmt: skip


def _messages() -> None:
    op.create_table(
        "flow_message",
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("key_prefix", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("created_by", postgresql.JSONB(), server_default=sa.text("'{}'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("flow_run_id", "position", name=op.f("pk_flow_message")),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_flow_message_flow_run_id"), ondelete="CASCADE"
        ),
    )
    op.create_index("ix_flow_message_prefix", "flow_message", ["flow_run_id", "key_prefix", "position"])
