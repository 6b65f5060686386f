"""Resources that events name, their states, rules about them; what deployments declare"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "resource_rule",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("pattern", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "created_by", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint("pattern <> target", name=op.f("ck_resource_rule_target")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource_rule")),
        sa.UniqueConstraint("pattern", name=op.f("uq_resource_rule_pattern")),
    )
    op.create_table(
        "resource_state",
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("event_id", sa.UUID(), nullable=True),
        sa.PrimaryKeyConstraint("resource_id", "since", name=op.f("pk_resource_state")),
    )
    op.create_table(
        "deployment_resource",
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_deployment_resource_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("deployment_id", "role", "resource_id", name=op.f("pk_deployment_resource")),
    )
    op.create_index(op.f("ix_deployment_resource_resource_id"), "deployment_resource", ["resource_id"])
    op.add_column("relation", sa.Column("weight", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.add_column(
        "resource",
        sa.Column(
            "own_labels", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
    )
    op.add_column("resource", sa.Column("origin", sa.Text(), server_default=sa.text("'event'"), nullable=False))
    op.add_column("resource", sa.Column("owner", sa.Text(), nullable=True))
    op.add_column("resource", sa.Column("description", sa.Text(), server_default="", nullable=False))
    op.add_column("resource", sa.Column("state", sa.Text(), nullable=True))
    op.add_column("resource", sa.Column("state_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("resource", sa.Column("last_event", sa.Text(), nullable=True))
    op.add_column("resource", sa.Column("last_event_at", sa.DateTime(timezone=True), nullable=True))
    op.drop_index(op.f("ix_resource_source"), table_name="resource", postgresql_where="(vanished IS NULL)")
    op.create_index("ix_resource_block", "resource", ["source_block_id"], postgresql_where=sa.text("vanished IS NULL"))
    op.execute("UPDATE resource SET origin = 'look'")
    # Room on each page, so that what every event changes is changed in place.
    op.execute("ALTER TABLE resource SET (fillfactor = 70)")
    op.execute("ALTER TABLE relation SET (fillfactor = 70)")


def downgrade() -> None:
    op.execute("ALTER TABLE relation RESET (fillfactor)")
    op.execute("ALTER TABLE resource RESET (fillfactor)")
    op.execute("DELETE FROM resource WHERE origin <> 'look'")
    op.drop_index("ix_resource_block", table_name="resource", postgresql_where=sa.text("vanished IS NULL"))
    op.create_index(
        op.f("ix_resource_source"), "resource", ["source_block_id", "last_seen"], postgresql_where="(vanished IS NULL)"
    )
    op.drop_column("resource", "last_event_at")
    op.drop_column("resource", "last_event")
    op.drop_column("resource", "state_since")
    op.drop_column("resource", "state")
    op.drop_column("resource", "description")
    op.drop_column("resource", "owner")
    op.drop_column("resource", "origin")
    op.drop_column("resource", "own_labels")
    op.drop_column("relation", "weight")
    op.drop_index(op.f("ix_deployment_resource_resource_id"), table_name="deployment_resource")
    op.drop_table("deployment_resource")
    op.drop_table("resource_state")
    op.drop_table("resource_rule")
