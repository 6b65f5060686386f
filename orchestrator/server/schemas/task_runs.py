"""Task runs."""

from __future__ import annotations

from marshmallow import fields

from .base import Instant, Mapping, PageQuery, StateKind, Strict, page_of
from .flow_runs import StateSchema


class TaskRunSchema(Strict):
    """A task run."""

    id = fields.UUID(required=True)
    flow_run_id = fields.UUID(required=True)
    name = fields.String(required=True)
    task_key = fields.String(required=True)
    state = fields.Nested(StateSchema, required=True)
    flow_attempt = fields.Integer(required=True)
    attempt = fields.Integer(required=True)
    tags = fields.List(fields.String(), required=True)
    upstream = fields.List(fields.UUID(), required=True)
    parent_id = fields.UUID(required=True, allow_none=True)
    started = Instant(required=True, allow_none=True)
    ended = Instant(required=True, allow_none=True)
    result = Mapping(
        required=True,
        allow_none=True,
        metadata={"description": "`{value}`, `{block, path, size}`, or `{file, size}` on the computer that it ran on."},
    )


class TaskRunQuery(PageQuery):
    """Which task runs to list: of one flow run in the order in which they began, else newest first."""

    flow_run_id = fields.UUID()
    state_type = fields.List(StateKind(), metadata={"description": "Any of these; give it several times."})
    name = fields.String(metadata={"description": "Part of the name."})


TaskRunPage = page_of(TaskRunSchema)
