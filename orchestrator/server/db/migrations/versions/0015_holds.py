"""holds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "hold",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column(
            "match", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=True),
        sa.Column("delay_s", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("until_event", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("placed", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "placed_by", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("firing_id", sa.UUID(), nullable=True),
        sa.Column("released", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("release_reason", sa.Text(), server_default="", nullable=False),
        sa.CheckConstraint("(kind = 'delay') = (delay_s IS NOT NULL)", name=op.f("ck_hold_delay")),
        sa.CheckConstraint("(kind = 'limit') = (slots IS NOT NULL)", name=op.f("ck_hold_slots")),
        sa.CheckConstraint("kind IN ('stop', 'limit', 'delay')", name=op.f("ck_hold_kind")),
        sa.ForeignKeyConstraint(["firing_id"], ["firing.id"], name=op.f("fk_hold_firing_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index("ix_hold_firing", "hold", ["firing_id"], postgresql_where=sa.text("firing_id IS NOT NULL"))
    op.create_index("ix_hold_in_force", "hold", ["id"], postgresql_where=sa.text("released IS NULL"))
    op.create_table(
        "deployment_hold",
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("hold_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_deployment_hold_deployment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["hold_id"], ["hold.id"], name=op.f("fk_deployment_hold_hold_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("deployment_id", "hold_id", name=op.f("pk_deployment_hold")),
    )
    op.create_index(op.f("ix_deployment_hold_hold_id"), "deployment_hold", ["hold_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_deployment_hold_hold_id"), table_name="deployment_hold")
    op.drop_table("deployment_hold")
    op.drop_index("ix_hold_in_force", table_name="hold", postgresql_where=sa.text("released IS NULL"))
    op.drop_index("ix_hold_firing", table_name="hold", postgresql_where=sa.text("firing_id IS NOT NULL"))
    op.drop_table("hold")
