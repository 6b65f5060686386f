"""Desks, and saved forms of deployments"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_form",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "parameters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_saved_form_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_form")),
        sa.UniqueConstraint("deployment_id", "name", name=op.f("uq_saved_form_deployment_id_name")),
    )
    op.create_table(
        "desk_item",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("api_key_id", sa.UUID(), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=True),
        sa.Column("deployment_id", sa.UUID(), nullable=True),
        sa.Column("expectation_id", sa.UUID(), nullable=True),
        sa.Column("trigger_id", sa.UUID(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "num_nonnulls(resource_id, deployment_id, expectation_id) = 1", name=op.f("ck_desk_item_one_thing")
        ),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name=op.f("fk_desk_item_api_key_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_desk_item_deployment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["expectation_id"], ["expectation.id"], name=op.f("fk_desk_item_expectation_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["trigger_id"], ["trigger.id"], name=op.f("fk_desk_item_trigger_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_item")),
        sa.UniqueConstraint("api_key_id", "deployment_id", name=op.f("uq_desk_item_api_key_id_deployment_id")),
        sa.UniqueConstraint("api_key_id", "expectation_id", name=op.f("uq_desk_item_api_key_id_expectation_id")),
        sa.UniqueConstraint("api_key_id", "resource_id", name=op.f("uq_desk_item_api_key_id_resource_id")),
    )
    op.create_index(op.f("ix_desk_item_deployment_id"), "desk_item", ["deployment_id"])
    op.create_index(op.f("ix_desk_item_expectation_id"), "desk_item", ["expectation_id"])
    op.create_index(op.f("ix_desk_item_trigger_id"), "desk_item", ["trigger_id"])


def downgrade() -> None:
    op.drop_index(op.f("ix_desk_item_trigger_id"), table_name="desk_item")
    op.drop_index(op.f("ix_desk_item_expectation_id"), table_name="desk_item")
    op.drop_index(op.f("ix_desk_item_deployment_id"), table_name="desk_item")
    op.drop_table("desk_item")
    op.drop_table("saved_form")
