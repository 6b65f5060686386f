"""discovery"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ERRANDS = "0ec7e44a-0000-7000-8000-000000000001"


def upgrade() -> None:
    # Errands are runs of this flow; its id is known to the code, as lists leave it out.
    op.execute("UPDATE flow SET name = name || '-' || id WHERE name = 'orchestrator.errand'")
    op.execute(f"INSERT INTO flow (id, name) VALUES ('{_ERRANDS}', 'orchestrator.errand')")
    op.create_table(
        "discovery",
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("interval_s", sa.Integer(), server_default="300", nullable=False),
        sa.Column("work_queue_id", sa.UUID(), nullable=True),
        sa.Column("cursor", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("next_due", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_run", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_ok", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.Column("notice", sa.Text(), server_default="", nullable=False),
        sa.Column("found", sa.Integer(), server_default="0", nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=True),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("interval_s > 0", name=op.f("ck_discovery_interval_positive")),
        sa.ForeignKeyConstraint(["block_id"], ["block.id"], name=op.f("fk_discovery_block_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["work_queue_id"], ["work_queue.id"], name=op.f("fk_discovery_work_queue_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_discovery_flow_run_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("block_id", name=op.f("pk_discovery")),
    )
    op.create_index("ix_discovery_due", "discovery", ["next_due"], postgresql_where=sa.text("active"))
    op.create_index(
        "ix_discovery_flow_run", "discovery", ["flow_run_id"], postgresql_where=sa.text("flow_run_id IS NOT NULL")
    )
    op.create_index(
        "ix_discovery_queue", "discovery", ["work_queue_id"], postgresql_where=sa.text("work_queue_id IS NOT NULL")
    )
    op.create_table(
        "resource",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "labels",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("source_block_id", sa.UUID(), nullable=True),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
        sa.Column("vanished", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_block_id"], ["block.id"], name=op.f("fk_resource_source_block_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_resource")),
    )
    op.create_index(
        "ix_resource_source",
        "resource",
        ["source_block_id", "last_seen"],
        postgresql_where=sa.text("vanished IS NULL"),
    )
    op.create_index("ix_resource_kind", "resource", ["kind", "id"])
    op.create_index("ix_resource_vanished", "resource", ["vanished"], postgresql_where=sa.text("vanished IS NOT NULL"))
    op.create_table(
        "relation",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", "target", "role", name=op.f("pk_relation")),
    )
    op.create_index("ix_relation_target", "relation", ["target"])


def downgrade() -> None:
    op.drop_table("relation")
    op.drop_table("resource")
    op.drop_table("discovery")
    op.execute(f"DELETE FROM flow WHERE id = '{_ERRANDS}'")
