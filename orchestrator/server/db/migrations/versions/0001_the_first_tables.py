"""the first tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from orchestrator.server.db.models.event import Xid8

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role IN ('admin', 'editor', 'viewer', 'agent')", name=op.f("ck_api_key_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_key")),
        sa.UniqueConstraint("hash", name=op.f("uq_api_key_hash")),
    )
    op.create_table(
        "block_type",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("logo", sa.Text(), server_default="", nullable=False),
        sa.Column("docs_url", sa.Text(), server_default="", nullable=False),
        sa.Column("code_example", sa.Text(), server_default="", nullable=False),
        sa.Column("import_path", sa.Text(), nullable=False),
        sa.Column("interfaces", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_type")),
        sa.UniqueConstraint("slug", name=op.f("uq_block_type_slug")),
    )
    op.create_table(
        "event",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("occurred", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("resource_id", sa.Text(), nullable=False),
        sa.Column(
            "resource",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "related",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "payload",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("follows", sa.Uuid(), nullable=True),
        sa.Column("xid", Xid8(), server_default=sa.text("pg_current_xact_id()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_event_cursor", "event", ["xid", "id"], unique=False)
    op.create_index("ix_event_name", "event", ["event", "id"], unique=False)
    op.create_index("ix_event_resource", "event", ["resource_id", "id"], unique=False)
    op.create_table(
        "flow",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow")),
        sa.UniqueConstraint("name", name=op.f("uq_flow_name")),
    )
    op.create_table(
        "log",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_run_id", sa.Uuid(), nullable=False),
        sa.Column("task_run_id", sa.Uuid(), nullable=True),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("logger", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log")),
        postgresql_partition_by="RANGE (id)",
    )
    op.create_index("ix_log_flow_run", "log", ["flow_run_id", "id"], unique=False)
    op.create_table(
        "producer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_producer")),
    )
    op.create_index(op.f("ix_producer_updated"), "producer", ["updated"], unique=False)
    op.create_table(
        "tick",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("took_ms", sa.Double(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("loop", name=op.f("pk_tick")),
    )
    op.create_table(
        "work_queue",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("concurrency_limit", sa.Integer(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("concurrency_limit >= 0", name=op.f("ck_work_queue_limit_not_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_queue")),
        sa.UniqueConstraint("name", name=op.f("uq_work_queue_name")),
    )
    op.create_table(
        "agent",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("hostname", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("transport", sa.Text(), nullable=False),
        sa.Column("queues", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_heartbeat", sa.DateTime(timezone=True), nullable=False),
        sa.Column("stopped", sa.DateTime(timezone=True), nullable=True),
        sa.Column("api_key_id", sa.UUID(), nullable=True),
        sa.CheckConstraint("transport IN ('redis', 'http')", name=op.f("ck_agent_transport")),
        sa.CheckConstraint("slots > 0", name=op.f("ck_agent_slots_positive")),
        sa.ForeignKeyConstraint(["api_key_id"], ["api_key.id"], name=op.f("fk_agent_api_key_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent")),
    )
    op.create_table(
        "block_schema",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("block_type_id", sa.UUID(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.Column(
            "fields",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_type_id"],
            ["block_type.id"],
            name=op.f("fk_block_schema_block_type_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block_schema")),
        sa.UniqueConstraint("block_type_id", "checksum", name=op.f("uq_block_schema_block_type_id_checksum")),
    )
    op.create_table(
        "login_link",
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("api_key_id", sa.UUID(), nullable=False),
        sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_key.id"], name=op.f("fk_login_link_api_key_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_login_link")),
    )
    op.create_table(
        "block",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("block_type_id", sa.UUID(), nullable=False),
        sa.Column("block_schema_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column(
            "data",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_schema_id"],
            ["block_schema.id"],
            name=op.f("fk_block_block_schema_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["block_type_id"], ["block_type.id"], name=op.f("fk_block_block_type_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_block")),
        sa.UniqueConstraint("block_type_id", "name", name=op.f("uq_block_block_type_id_name")),
    )
    op.create_table(
        "block_reference",
        sa.Column("block_id", sa.UUID(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("target_id", sa.UUID(), nullable=False),
        sa.ForeignKeyConstraint(
            ["block_id"], ["block.id"], name=op.f("fk_block_reference_block_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["target_id"], ["block.id"], name=op.f("fk_block_reference_target_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("block_id", "field", name=op.f("pk_block_reference")),
    )
    op.create_index(op.f("ix_block_reference_target_id"), "block_reference", ["target_id"], unique=False)
    op.create_table(
        "deployment",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Text(), server_default="", nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("entrypoint", sa.Text(), nullable=False),
        sa.Column("storage_block_id", sa.UUID(), nullable=True),
        sa.Column("storage_path", sa.Text(), server_default="", nullable=False),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("infrastructure_block_id", sa.UUID(), nullable=True),
        sa.Column(
            "infrastructure_overrides",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("work_queue_id", sa.UUID(), nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "parameter_schema",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("paused", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_deployment_flow_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["infrastructure_block_id"],
            ["block.id"],
            name=op.f("fk_deployment_infrastructure_block_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["storage_block_id"],
            ["block.id"],
            name=op.f("fk_deployment_storage_block_id"),
            ondelete="RESTRICT",
        ),
        sa.ForeignKeyConstraint(
            ["work_queue_id"],
            ["work_queue.id"],
            name=op.f("fk_deployment_work_queue_id"),
            ondelete="RESTRICT",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployment")),
        sa.UniqueConstraint("flow_id", "name", name=op.f("uq_deployment_flow_id_name")),
    )
    op.create_table(
        "schedule",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("day_or", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("interval_s", sa.Double(), nullable=True),
        sa.Column("anchor", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rrule", sa.Text(), nullable=True),
        sa.Column("timezone", sa.Text(), server_default="UTC", nullable=False),
        sa.Column("active", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("materialised_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("interval_s > 0", name=op.f("ck_schedule_interval_positive")),
        sa.CheckConstraint("num_nonnulls(cron, interval_s, rrule) = 1", name=op.f("ck_schedule_one_kind")),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_schedule_deployment_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_schedule")),
        sa.UniqueConstraint("deployment_id", "slug", name=op.f("uq_schedule_deployment_id_slug")),
    )
    op.create_index(op.f("ix_schedule_deployment_id"), "schedule", ["deployment_id"], unique=False)
    op.create_table(
        "flow_run",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_id", sa.UUID(), nullable=False),
        sa.Column("deployment_id", sa.UUID(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state_type", sa.Text(), nullable=False),
        sa.Column("state_name", sa.Text(), nullable=False),
        sa.Column("state_message", sa.Text(), server_default="", nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column(
            "parameters",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("work_queue_id", sa.UUID(), nullable=True),
        sa.Column("priority", sa.Integer(), server_default="0", nullable=False),
        sa.Column("idempotency_key", sa.Text(), nullable=True),
        sa.Column("schedule_id", sa.UUID(), nullable=True),
        sa.Column("slot", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("agent_id", sa.UUID(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("hinted", sa.DateTime(timezone=True), nullable=True),
        sa.Column("hints", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cancel_asked", sa.DateTime(timezone=True), nullable=True),
        sa.Column("parent_task_run_id", sa.Uuid(), nullable=True),
        sa.Column("parent_flow_run_id", sa.UUID(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column(
            "created_by",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("result", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "(state_type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')) = (ended IS NOT NULL)",
            name=op.f("ck_flow_run_ended_when_terminal"),
        ),
        sa.CheckConstraint(
            "lease_until IS NULL OR state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"
            " OR (state_type = 'SCHEDULED' AND work_queue_id IS NULL)",
            name=op.f("ck_flow_run_lease_when_active"),
        ),
        sa.CheckConstraint(
            "state_type <> 'RUNNING' OR started IS NOT NULL", name=op.f("ck_flow_run_started_when_running")
        ),
        sa.CheckConstraint(
            "state_type IN ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')",
            name=op.f("ck_flow_run_state_type"),
        ),
        sa.CheckConstraint("attempt >= 0", name=op.f("ck_flow_run_attempt_not_negative")),
        sa.ForeignKeyConstraint(["agent_id"], ["agent.id"], name=op.f("fk_flow_run_agent_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployment.id"], name=op.f("fk_flow_run_deployment_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["flow_id"], ["flow.id"], name=op.f("fk_flow_run_flow_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["parent_flow_run_id"],
            ["flow_run.id"],
            name=op.f("fk_flow_run_parent_flow_run_id"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["schedule_id"], ["schedule.id"], name=op.f("fk_flow_run_schedule_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["work_queue_id"], ["work_queue.id"], name=op.f("fk_flow_run_work_queue_id"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_run")),
        sa.UniqueConstraint("flow_id", "idempotency_key", name=op.f("uq_flow_run_flow_id_idempotency_key")),
        sa.UniqueConstraint("schedule_id", "slot", name=op.f("uq_flow_run_schedule_id_slot")),
    )
    op.create_index(
        "ix_flow_run_active",
        "flow_run",
        ["state_type", "id"],
        unique=False,
        postgresql_where=sa.text("state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"),
    )
    op.create_index(
        "ix_flow_run_agent",
        "flow_run",
        ["agent_id"],
        unique=False,
        postgresql_where=sa.text("agent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_flow_run_claimable",
        "flow_run",
        ["work_queue_id", sa.literal_column("priority DESC"), "due", "id"],
        unique=False,
        postgresql_where=sa.text("state_type = 'SCHEDULED'"),
    )
    op.create_index("ix_flow_run_deployment", "flow_run", ["deployment_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "ix_flow_run_due",
        "flow_run",
        ["due"],
        unique=False,
        postgresql_where=sa.text("state_type = 'SCHEDULED'"),
    )
    op.create_index(
        "ix_flow_run_ended",
        "flow_run",
        ["ended"],
        unique=False,
        postgresql_where=sa.text("ended IS NOT NULL"),
    )
    op.create_index("ix_flow_run_flow", "flow_run", ["flow_id", sa.literal_column("id DESC")], unique=False)
    op.create_index(
        "ix_flow_run_lease",
        "flow_run",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("lease_until IS NOT NULL"),
    )
    op.create_index(
        "ix_flow_run_parent",
        "flow_run",
        ["parent_flow_run_id"],
        unique=False,
        postgresql_where=sa.text("parent_flow_run_id IS NOT NULL"),
    )
    op.create_index("ix_flow_run_state", "flow_run", ["state_type", sa.literal_column("id DESC")], unique=False)
    op.create_index("ix_flow_run_tags", "flow_run", ["tags"], unique=False, postgresql_using="gin")
    op.create_table(
        "artifact",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("data", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("flow_run_id", sa.UUID(), nullable=True),
        sa.Column("task_run_id", sa.Uuid(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("type IN ('markdown', 'table', 'link')", name=op.f("ck_artifact_type")),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_artifact_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifact")),
    )
    op.create_index("ix_artifact_flow_run", "artifact", ["flow_run_id", "id"], unique=False)
    op.create_index("ix_artifact_key", "artifact", ["key", sa.literal_column("id DESC")], unique=False)
    op.create_table(
        "flow_run_state",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("details", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint(
            "type IN ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')",
            name=op.f("ck_flow_run_state_type"),
        ),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_flow_run_state_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flow_run_state")),
    )
    op.create_index("ix_flow_run_state_run", "flow_run_state", ["flow_run_id", "id"], unique=False)
    op.create_table(
        "task_run",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("flow_run_id", sa.UUID(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("task_key", sa.Text(), nullable=False),
        sa.Column("flow_attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state_type", sa.Text(), nullable=False),
        sa.Column("state_name", sa.Text(), nullable=False),
        sa.Column("state_message", sa.Text(), server_default="", nullable=False),
        sa.Column("state_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column(
            "upstream",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("created", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state_type IN ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')",
            name=op.f("ck_task_run_state_type"),
        ),
        sa.ForeignKeyConstraint(
            ["flow_run_id"], ["flow_run.id"], name=op.f("fk_task_run_flow_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_run")),
    )
    op.create_index("ix_task_run_flow_run", "task_run", ["flow_run_id", "id"], unique=False)
    op.create_index("ix_task_run_state", "task_run", ["state_type", sa.literal_column("id DESC")], unique=False)
    op.create_table(
        "task_run_state",
        sa.Column("id", sa.UUID(), nullable=False),
        sa.Column("task_run_id", sa.UUID(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "type IN ('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING', 'COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')",
            name=op.f("ck_task_run_state_type"),
        ),
        sa.ForeignKeyConstraint(
            ["task_run_id"], ["task_run.id"], name=op.f("fk_task_run_state_task_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_run_state")),
    )
    op.create_index("ix_task_run_state_run", "task_run_state", ["task_run_id", "id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_task_run_state_run", table_name="task_run_state")
    op.drop_table("task_run_state")
    op.drop_index("ix_task_run_state", table_name="task_run")
    op.drop_index("ix_task_run_flow_run", table_name="task_run")
    op.drop_table("task_run")
    op.drop_index("ix_flow_run_state_run", table_name="flow_run_state")
    op.drop_table("flow_run_state")
    op.drop_index("ix_artifact_key", table_name="artifact")
    op.drop_index("ix_artifact_flow_run", table_name="artifact")
    op.drop_table("artifact")
    op.drop_index("ix_flow_run_tags", table_name="flow_run", postgresql_using="gin")
    op.drop_index("ix_flow_run_state", table_name="flow_run")
    op.drop_index(
        "ix_flow_run_parent",
        table_name="flow_run",
        postgresql_where=sa.text("parent_flow_run_id IS NOT NULL"),
    )
    op.drop_index("ix_flow_run_lease", table_name="flow_run", postgresql_where=sa.text("lease_until IS NOT NULL"))
    op.drop_index("ix_flow_run_flow", table_name="flow_run")
    op.drop_index("ix_flow_run_ended", table_name="flow_run", postgresql_where=sa.text("ended IS NOT NULL"))
    op.drop_index("ix_flow_run_due", table_name="flow_run", postgresql_where=sa.text("state_type = 'SCHEDULED'"))
    op.drop_index("ix_flow_run_deployment", table_name="flow_run")
    op.drop_index("ix_flow_run_claimable", table_name="flow_run", postgresql_where=sa.text("state_type = 'SCHEDULED'"))
    op.drop_index(
        "ix_flow_run_agent",
        table_name="flow_run",
        postgresql_where=sa.text("agent_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_flow_run_active",
        table_name="flow_run",
        postgresql_where=sa.text("state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"),
    )
    op.drop_table("flow_run")
    op.drop_index(op.f("ix_schedule_deployment_id"), table_name="schedule")
    op.drop_table("schedule")
    op.drop_table("deployment")
    op.drop_index(op.f("ix_block_reference_target_id"), table_name="block_reference")
    op.drop_table("block_reference")
    op.drop_table("block")
    op.drop_table("login_link")
    op.drop_table("block_schema")
    op.drop_table("agent")
    op.drop_table("work_queue")
    op.drop_table("tick")
    op.drop_index(op.f("ix_producer_updated"), table_name="producer")
    op.drop_table("producer")
    op.drop_index("ix_log_flow_run", table_name="log")
    op.drop_table("log")
    op.drop_table("flow")
    op.drop_index("ix_event_resource", table_name="event")
    op.drop_index("ix_event_name", table_name="event")
    op.drop_index("ix_event_cursor", table_name="event")
    op.drop_table("event")
    op.drop_table("block_type")
    op.drop_table("api_key")
