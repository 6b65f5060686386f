"""expectations, their occurrences, calendars; firings of expectations"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("weekdays", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("holidays", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("extra", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calendar")),
        sa.UniqueConstraint("name", name=op.f("uq_calendar_name")),
    )
    op.create_table(
        "expectation",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=True),
        sa.Column(
            "document", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.Column("severity", sa.Text(), server_default="warning", nullable=False),
        sa.Column("owner", sa.Text(), server_default="", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("muted_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("materialised_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refill", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("severity IN ('info', 'warning', 'critical')", name=op.f("ck_expectation_severity")),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_expectation_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expectation")),
    )
    op.create_index("uq_expectation_deployment_id_name", "expectation", ["deployment_id", "name"], unique=True)
    op.create_index(
        "uq_expectation_name", "expectation", ["name"], unique=True, postgresql_where=sa.text("deployment_id IS NULL")
    )
    op.create_table(
        "expectation_occurrence",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("expectation_id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), server_default="", nullable=False),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opens", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closes", sa.DateTime(timezone=True), nullable=True),
        sa.Column("status", sa.Text(), server_default="due", nullable=False),
        sa.Column(
            "hits", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
        sa.Column("satisfied", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judged", sa.DateTime(timezone=True), nullable=True),
        sa.Column("judged_late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('due', 'met', 'late', 'missed')", name=op.f("ck_expectation_occurrence_status")),
        sa.ForeignKeyConstraint(
            ["expectation_id"],
            ["expectation.id"],
            name=op.f("fk_expectation_occurrence_expectation_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_expectation_occurrence")),
        sa.UniqueConstraint(
            "expectation_id", "key", "slot", name=op.f("uq_expectation_occurrence_expectation_id_key_slot")
        ),
    )
    op.create_index(
        "ix_expectation_occurrence_deadline",
        "expectation_occurrence",
        ["deadline"],
        postgresql_where=sa.text("status = 'due'"),
    )
    op.create_index("ix_expectation_occurrence_due", "expectation_occurrence", ["due"])
    op.create_index(
        "ix_expectation_occurrence_expectation",
        "expectation_occurrence",
        ["expectation_id", sa.literal_column("due DESC"), sa.literal_column("id DESC")],
    )
    op.add_column("firing", sa.Column("expectation_id", sa.UUID(), nullable=True))
    op.create_unique_constraint(op.f("uq_firing_expectation_id_occasion"), "firing", ["expectation_id", "occasion"])
    op.create_foreign_key(
        op.f("fk_firing_expectation_id"), "firing", "expectation", ["expectation_id"], ["id"], ondelete="CASCADE"
    )
    op.create_check_constraint(
        op.f("ck_firing_one_cause"), "firing", "(trigger_id IS NULL) <> (expectation_id IS NULL)"
    )


def downgrade() -> None:
    op.execute("DELETE FROM firing WHERE trigger_id IS NULL")
    op.drop_constraint(op.f("ck_firing_one_cause"), "firing", type_="check")
    op.drop_constraint(op.f("fk_firing_expectation_id"), "firing", type_="foreignkey")
    op.drop_constraint(op.f("uq_firing_expectation_id_occasion"), "firing", type_="unique")
    op.drop_column("firing", "expectation_id")
    op.drop_index("ix_expectation_occurrence_expectation", table_name="expectation_occurrence")
    op.drop_index("ix_expectation_occurrence_due", table_name="expectation_occurrence")
    op.drop_index(
        "ix_expectation_occurrence_deadline",
        table_name="expectation_occurrence",
        postgresql_where=sa.text("status = 'due'"),
    )
    op.drop_table("expectation_occurrence")
    op.drop_index("uq_expectation_name", table_name="expectation", postgresql_where=sa.text("deployment_id IS NULL"))
    op.drop_index("uq_expectation_deployment_id_name", table_name="expectation")
    op.drop_table("expectation")
    op.drop_table("calendar")
