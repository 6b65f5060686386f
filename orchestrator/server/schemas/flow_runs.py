"""Flow runs and their states."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from ...documents.records import WAITING_CODES
from .base import ActorSchema, Instant, Json, Mapping, PageQuery, ReferenceSchema, StateKind, Strict, page_of


class StateSchema(Strict):
    """A state of a run."""

    type = StateKind(required=True)
    name = fields.String(required=True)
    message = fields.String(required=True)
    at = Instant(required=True)
    details = Mapping(required=True, allow_none=True)


class HistoryStateSchema(StateSchema):
    """A state that a run took, with the attempt that took it."""

    id = fields.UUID(required=True)
    attempt = fields.Integer(required=True)


class WaitingReasonSchema(Strict):
    """Why a run waits."""

    code = fields.String(required=True, validate=validate.OneOf(WAITING_CODES))
    message = fields.String(required=True)


class FlowRunSchema(Strict):
    """A flow run."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    flow = fields.Nested(ReferenceSchema, required=True)
    deployment = fields.Nested(ReferenceSchema, required=True, allow_none=True)
    state = fields.Nested(StateSchema, required=True)
    attempt = fields.Integer(required=True)
    parameters = Mapping(required=True)
    tags = fields.List(fields.String(), required=True)
    work_queue = fields.String(required=True, allow_none=True)
    priority = fields.Integer(required=True)
    due = Instant(required=True, allow_none=True)
    slot = Instant(required=True, allow_none=True, metadata={"description": "The schedule's instant."})
    started = Instant(required=True, allow_none=True)
    ended = Instant(required=True, allow_none=True)
    created = Instant(required=True, allow_none=True)
    agent_id = fields.UUID(required=True, allow_none=True)
    snapshot = fields.String(required=True, allow_none=True)
    parent_flow_run_id = fields.UUID(required=True, allow_none=True)
    parent_task_run_id = fields.UUID(required=True, allow_none=True)
    backfill_id = fields.UUID(required=True, allow_none=True)
    tries = fields.Integer(
        required=True, metadata={"description": "Tries that were over when it last began to wait for another one."}
    )
    crashes = fields.Integer(required=True, metadata={"description": "How often it was queued again after a crash."})
    created_by = fields.Nested(ActorSchema, required=True, allow_none=True)
    result = Mapping(required=True, allow_none=True)
    waiting_reason = fields.Nested(
        WaitingReasonSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Why it waits, while it does; told by `GET flow-runs/{id}`, null elsewhere."},
    )


class RunFields(Strict):
    """Which flow runs are meant: those that fit all that is given."""

    state_type = fields.List(StateKind(), metadata={"description": "Any of these; give it several times."})
    state_name = fields.List(fields.String(), metadata={"description": "Any of these, such as `Late`."})
    flow_id = fields.UUID()
    deployment_id = fields.UUID()
    work_queue = fields.String()
    tag = fields.List(fields.String(), metadata={"description": "All of these."})
    name = fields.String(metadata={"description": "Part of the name."})
    parent_flow_run_id = fields.UUID()
    backfill_id = fields.UUID()
    created_after = Instant()
    created_before = Instant()


class FlowRunQuery(RunFields, PageQuery):
    """Which flow runs to list; newest first."""

    internal = fields.Boolean(
        load_default=False, metadata={"description": "Errands, too; asking for their flow gives them as well."}
    )


class BulkCancelSchema(RunFields):
    """Which flow runs to cancel; one thing at least is given."""

    due_before = Instant()
    dry_run = fields.Boolean(
        truthy={True}, falsy={False}, load_default=False, metadata={"description": "Only count them."}
    )

    @validates_schema
    def _not_all(self, data: dict[str, Any], **_: Any) -> None:
        if not any(value not in (None, [], "") for name, value in data.items() if name != "dry_run"):
            raise ValidationError("Say which: with nothing given it would be all runs there are.")


class BulkCancelledSchema(Strict):
    """What cancelling did, or would do."""

    cancelled = fields.Integer(required=True, metadata={"description": "Runs that were asked to stop."})
    left = fields.Integer(
        required=True, metadata={"description": "Runs that fit and were not asked yet: ask again. At most 10000."}
    )


class KeptResultSchema(Strict):
    """A call of a task, or of a subflow, that a flow run has finished."""

    call_key = fields.String(required=True, metadata={"description": "What another attempt knows the call by."})
    result = Mapping(required=True, metadata={"description": "As its task run keeps it."})
    attempt = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Of the flow run; null for calls of subflows."}
    )
    id = fields.UUID(required=True, metadata={"description": "Its task run; its flow run, where it is a subflow."})


KeptResultPage = page_of(KeptResultSchema)


class StateInputSchema(Strict):
    """A state to be taken."""

    type = StateKind(required=True)
    name = fields.String(load_default="", validate=validate.Length(max=200))
    message = fields.String(load_default="", validate=validate.Length(max=100_000))
    details = Mapping(load_default=None, allow_none=True)
    attempt = fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": "The attempt that speaks; agents and runs give it."},
    )
    result = Mapping(load_default=None, allow_none=True)


class HooksInputSchema(Strict):
    """Which attempt's end it is."""

    attempt = fields.Integer(strict=True, required=True, validate=validate.Range(1, 2**31 - 1))


class HooksTakenSchema(Strict):
    """Whether who asked is to call the hooks."""

    call = fields.Boolean(required=True)


class SuspensionSchema(Strict):
    """How long a run waits for somebody."""

    until = Instant(
        load_default=None,
        allow_none=True,
        metadata={"description": "When it fails unless it was resumed before; null: it waits for ever."},
    )


class ResumptionSchema(Strict):
    """How a run goes on."""

    input = Json(
        load_default=None,
        allow_none=True,
        metadata={"description": "The answer to what it asks: an object that fits the schema of its question."},
    )


FlowRunPage = page_of(FlowRunSchema)
HistoryPage = page_of(HistoryStateSchema)


class SuspectSchema(Strict):
    """An event that may have to do with a failure."""

    id = fields.UUID(required=True, metadata={"description": "The event's."})
    event = fields.String(required=True)
    occurred = Instant(required=True)
    resource_id = fields.String(required=True)
    resource_name = fields.String(required=True)
    score = fields.Float(required=True, metadata={"description": "0 to 1: in which order to look."})
    hops = fields.Integer(required=True, metadata={"description": "0: the run itself, 1: what its deployment touches."})
    why = fields.String(required=True)


SuspectPage = page_of(SuspectSchema)
