"""Limits that code holds slots of; progress and images as artifacts"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("resource_limit", sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("resource_limit", sa.Column("slot_decay_per_second", sa.Double(), nullable=True))
    op.add_column("resource_limit", sa.Column("level", sa.Double(), server_default=sa.text("0"), nullable=False))
    op.add_column("resource_limit", sa.Column("level_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(op.f("ck_resource_limit_decay"), "resource_limit", "slot_decay_per_second > 0")
    op.create_table(
        "slot_lease",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("limit_id", sa.UUID(), nullable=False),
        sa.Column("occupy", sa.Integer(), nullable=False),
        sa.Column("parts", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Text(), server_default="", nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=True),
        sa.Column("root_run_id", sa.UUID(), nullable=True),
        sa.Column("task_run_id", sa.UUID(), nullable=True),
        sa.Column("asked", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("occupy > 0", name=op.f("ck_slot_lease_occupy")),
        sa.ForeignKeyConstraint(
            ["limit_id"], ["resource_limit.id"], name=op.f("fk_slot_lease_limit_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", "limit_id", name=op.f("pk_slot_lease")),
    )
    op.create_index("ix_slot_lease_limit", "slot_lease", ["limit_id", "asked", "id"])
    op.create_index(op.f("ix_slot_lease_expires"), "slot_lease", ["expires"])
    for name in ("flow_run_id", "root_run_id"):
        op.create_index(
            op.f(f"ix_slot_lease_{name}"), "slot_lease", [name], postgresql_where=sa.text(f"{name} IS NOT NULL")
        )
    op.add_column("artifact", sa.Column("updated", sa.DateTime(timezone=True), nullable=True))
    op.drop_constraint(op.f("ck_artifact_type"), "artifact", type_="check")
    op.create_check_constraint(
        op.f("ck_artifact_type"), "artifact", "type IN ('markdown', 'table', 'link', 'progress', 'image')"
    )


def downgrade() -> None:
    op.execute("DELETE FROM artifact WHERE type IN ('progress', 'image')")
    op.drop_constraint(op.f("ck_artifact_type"), "artifact", type_="check")
    op.create_check_constraint(op.f("ck_artifact_type"), "artifact", "type IN ('markdown', 'table', 'link')")
    op.drop_column("artifact", "updated")
    op.drop_table("slot_lease")
    op.drop_constraint(op.f("ck_resource_limit_decay"), "resource_limit", type_="check")
    for name in ("level_at", "level", "slot_decay_per_second", "active"):
        op.drop_column("resource_limit", name)
