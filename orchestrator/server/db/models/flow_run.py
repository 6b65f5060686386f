"""Flow runs: one row a run, holding its present state; history lies in flow_run_state."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import STATE_TYPES, Base, Created, Json, JsonOrNone, Key, Tags

_TERMINAL = "state_type IN ('COMPLETED', 'FAILED', 'CRASHED', 'CANCELLED')"
_ACTIVE = "state_type IN ('PENDING', 'RUNNING', 'CANCELLING')"
#: A process is busy with it: :func:`orchestrator.states.is_held`, and as services.statements writes it.
_HELD = f"({_ACTIVE} OR (state_type = 'PAUSED' AND state_name <> 'Suspended'))"
#: Its own process waits to try it again.
_WAITS_BY_HAND = "(state_type = 'SCHEDULED' AND work_queue_id IS NULL)"


class FlowRun(Base):
    """One run of a flow."""

    __tablename__ = "flow_run"

    id: Mapped[Key]
    flow_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("flow.id", ondelete="CASCADE"))
    deployment_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("deployment.id", ondelete="SET NULL"))
    name: Mapped[str]

    state_type: Mapped[str]
    state_name: Mapped[str]
    state_message: Mapped[str] = mapped_column(server_default="", default="")
    state_at: Mapped[datetime] = mapped_column(server_default=text("now()"))
    #: The fencing token: raised by each claim; 0 until the first. Reports of lower attempts are refused.
    attempt: Mapped[int] = mapped_column(server_default="0", default=0)

    #: How often its code was begun before it last waited for another try; how often it was queued again after a crash.
    tries: Mapped[int] = mapped_column(server_default="0", default=0)
    crashes: Mapped[int] = mapped_column(server_default="0", default=0)

    parameters: Mapped[Json]
    tags: Mapped[Tags]
    work_queue_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("work_queue.id", ondelete="RESTRICT"))
    #: Higher is more urgent.
    priority: Mapped[int] = mapped_column(server_default="0", default=0)
    idempotency_key: Mapped[str | None]
    schedule_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("schedule.id", ondelete="SET NULL"))
    #: The schedule's instant that this run stands for (UTC).
    slot: Mapped[datetime | None]
    #: Not to start before.
    due: Mapped[datetime] = mapped_column(server_default=text("now()"))
    started: Mapped[datetime | None]
    ended: Mapped[datetime | None]

    agent_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("agent.id", ondelete="SET NULL"))
    #: Until when silence is fine: of the agent that holds the run or, of one started by hand, of its process.
    lease_until: Mapped[datetime | None]
    #: Snapshot of the code that the present attempt runs.
    snapshot: Mapped[str | None]
    hinted: Mapped[datetime | None]
    hints: Mapped[int] = mapped_column(server_default="0", default=0)
    #: When it was asked to stop, for a cancel or a suspension.
    cancel_asked: Mapped[datetime | None]
    #: Of a run that is paused or (being) suspended: until when somebody may resume it.
    suspended_until: Mapped[datetime | None]

    #: The task run, in a parent flow run, that stands for this subflow.
    parent_task_run_id: Mapped[uuid.UUID | None]
    parent_flow_run_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("flow_run.id", ondelete="SET NULL"))
    #: The chain of firings that it follows from, and how many stand before it; see :class:`.Firing`.
    chain_id: Mapped[uuid.UUID | None]
    chain_depth: Mapped[int] = mapped_column(server_default="0", default=0)
    #: The step that it is in a run of a chain, see :mod:`orchestrator.chains`; ``chain_id`` is that run then.
    chain_step: Mapped[str | None]
    #: The backfill that made it; it has a slot then, and no schedule.
    backfill_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("backfill.id", ondelete="SET NULL"))
    created: Mapped[Created]
    #: ``{"type": "api-key|schedule|user|process", "id": ..., "name": ...}``
    created_by: Mapped[Json]
    #: Hooks for its end that the flow has, as the present attempt's process told; None: none, or it is over.
    hooks: Mapped[list[str] | None] = mapped_column(ARRAY(Text))
    #: The last attempt the hooks of whose end somebody has undertaken to call: its agent, or the server.
    hooks_called: Mapped[int] = mapped_column(server_default="0", default=0)
    #: Ends whose hooks an agent is still to be sent for: ``[{"attempt", "snapshot", "tries", "state"}]``.
    hooks_left: Mapped[JsonOrNone]
    #: Inline result ``{"value": ...}`` or reference ``{"block": ..., "path": ...}``.
    result: Mapped[JsonOrNone]
    #: Of a subflow: what later attempts of the run above know its call by.
    call_key: Mapped[str | None]

    __table_args__ = (
        UniqueConstraint("schedule_id", "slot"),
        UniqueConstraint("flow_id", "idempotency_key"),
        Index(
            "uq_flow_run_chain_step",
            "chain_id",
            "chain_step",
            unique=True,
            postgresql_where=text("chain_step IS NOT NULL"),
        ),
        Index(
            "uq_flow_run_backfill_slot",
            "backfill_id",
            "slot",
            unique=True,
            postgresql_where=text("backfill_id IS NOT NULL"),
        ),
        CheckConstraint(f"state_type IN ({STATE_TYPES})", name="state_type"),
        CheckConstraint(f"({_TERMINAL}) = (ended IS NOT NULL)", name="ended_when_terminal"),
        CheckConstraint("state_type <> 'RUNNING' OR started IS NOT NULL", name="started_when_running"),
        CheckConstraint(f"lease_until IS NULL OR {_HELD} OR {_WAITS_BY_HAND}", name="lease_when_active"),
        CheckConstraint("attempt >= 0", name="attempt_not_negative"),
        Index(
            "ix_flow_run_claimable",
            "work_queue_id",
            text("priority DESC"),
            "due",
            "id",
            postgresql_where=text("state_type = 'SCHEDULED'"),
        ),
        Index("ix_flow_run_due", "due", postgresql_where=text("state_type = 'SCHEDULED'")),
        Index("ix_flow_run_lease", "lease_until", postgresql_where=text("lease_until IS NOT NULL")),
        Index("ix_flow_run_suspended", "suspended_until", postgresql_where=text("suspended_until IS NOT NULL")),
        Index("ix_flow_run_active", "state_type", "id", postgresql_where=text(_HELD)),
        Index("ix_flow_run_state", "state_type", text("id DESC")),
        Index("ix_flow_run_flow", "flow_id", text("id DESC")),
        Index("ix_flow_run_deployment", "deployment_id", text("id DESC")),
        Index("ix_flow_run_parent", "parent_flow_run_id", postgresql_where=text("parent_flow_run_id IS NOT NULL")),
        Index("ix_flow_run_agent", "agent_id", postgresql_where=text("agent_id IS NOT NULL")),
        Index("ix_flow_run_ended", "ended", postgresql_where=text("ended IS NOT NULL")),
        Index("ix_flow_run_chain", "chain_id", postgresql_where=text("chain_id IS NOT NULL")),
        Index("ix_flow_run_hooks_left", "id", postgresql_where=text("hooks_left IS NOT NULL")),
        Index(
            "ix_flow_run_schedule_open",
            "schedule_id",
            "slot",
            postgresql_where=text(f"schedule_id IS NOT NULL AND NOT ({_TERMINAL})"),
        ),
        Index("ix_flow_run_tags", "tags", postgresql_using="gin"),
    )
