"""Chains of deployments."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chain",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain")),
        sa.UniqueConstraint("name", name=op.f("uq_chain_name")),
    )
    op.create_table(
        "chain_version",
        sa.Column("chain_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "document", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "created_by", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.ForeignKeyConstraint(["chain_id"], ["chain.id"], name=op.f("fk_chain_version_chain_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("chain_id", "version", name=op.f("pk_chain_version")),
    )
    op.create_table(
        "chain_run",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("chain_id", sa.UUID(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("depth", sa.Integer(), server_default="0", nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "started_by", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["chain_id", "version"],
            ["chain_version.chain_id", "chain_version.version"],
            name=op.f("fk_chain_run_chain_id_version"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chain_run")),
    )
    op.create_index("ix_chain_run_chain", "chain_run", ["chain_id", sa.literal_column("id DESC")])
    op.add_column("flow_run", sa.Column("chain_step", sa.Text(), nullable=True))
    op.create_index(
        "uq_flow_run_chain_step",
        "flow_run",
        ["chain_id", "chain_step"],
        unique=True,
        postgresql_where=sa.text("chain_step IS NOT NULL"),
    )
    op.add_column("trigger", sa.Column("of_chain_id", sa.UUID(), nullable=True))
    op.add_column("trigger", sa.Column("of_chain_version", sa.Integer(), nullable=True))
    op.add_column("trigger", sa.Column("of_chain_step", sa.Text(), nullable=True))
    op.create_index(
        "uq_trigger_of_chain",
        "trigger",
        ["of_chain_id", "of_chain_version", "of_chain_step"],
        unique=True,
        postgresql_where=sa.text("of_chain_id IS NOT NULL"),
    )
    op.create_foreign_key(
        op.f("fk_trigger_of_chain_id"), "trigger", "chain", ["of_chain_id"], ["id"], ondelete="CASCADE"
    )


def downgrade() -> None:
    op.drop_constraint(op.f("fk_trigger_of_chain_id"), "trigger", type_="foreignkey")
    op.drop_index("uq_trigger_of_chain", table_name="trigger", postgresql_where=sa.text("of_chain_id IS NOT NULL"))
    op.drop_column("trigger", "of_chain_step")
    op.drop_column("trigger", "of_chain_version")
    op.drop_column("trigger", "of_chain_id")
    op.drop_index("uq_flow_run_chain_step", table_name="flow_run", postgresql_where=sa.text("chain_step IS NOT NULL"))
    op.drop_column("flow_run", "chain_step")
    op.drop_index("ix_chain_run_chain", table_name="chain_run")
    op.drop_table("chain_run")
    op.drop_table("chain_version")
    op.drop_table("chain")
