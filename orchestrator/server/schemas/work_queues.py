"""Work queues."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from .base import Instant, Name, Prose, Strict, page_of

#: As :class:`orchestrator.server.services.running.work_queues.WorkQueueRow` explains them.
STATUSES = ("READY", "PAUSED", "DRAINING", "DRAINED", "NO_AGENTS", "BEHIND")
_AGEING_TOLD = {"description": "Seconds of waiting by which a run's priority rises by one; null: it does not rise."}
_SHARE_TOLD = {"description": "Whose runs take turns: `deployment`, `flow` or `tag:PREFIX`; null: nobody's."}
_LIMIT = validate.Range(0, 2**31 - 1)


def Ageing(**more: Any) -> fields.Integer:
    """How fast priorities rise."""
    return fields.Integer(
        strict=True, allow_none=True, validate=validate.Range(1, 10**6), metadata=_AGEING_TOLD, **more
    )


def ShareBy(**more: Any) -> fields.String:
    """Whose runs take turns."""
    problem = "Must be deployment, flow, or tag:PREFIX, such as tag:team-."
    known = validate.Regexp(r"(deployment|flow|tag:.{1,200})\Z", error=problem)
    return fields.String(allow_none=True, validate=known, metadata=_SHARE_TOLD, **more)


class WorkQueueSchema(Strict):
    """A work queue."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    paused = fields.Boolean(required=True)
    draining = Instant(
        required=True, allow_none=True, metadata={"description": "Since when it hands out only what it had."}
    )
    concurrency_limit = fields.Integer(required=True, allow_none=True)
    ageing_s = fields.Integer(required=True, allow_none=True, metadata=_AGEING_TOLD)
    share_by = fields.String(required=True, allow_none=True, metadata=_SHARE_TOLD)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    agents = fields.Integer(required=True, metadata={"description": "Agents that are online and serve it."})
    waiting = fields.Integer(required=True, metadata={"description": "Runs that are due and wait."})
    running = fields.Integer(required=True, metadata={"description": "Runs that occupy its slots."})
    created = Instant(required=True)


class WorkQueueInputSchema(Strict):
    """A work queue to be made."""

    name = Name(required=True)
    description = Prose(load_default="")
    paused = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    concurrency_limit = fields.Integer(strict=True, allow_none=True, load_default=None, validate=_LIMIT)
    ageing_s = Ageing(load_default=None)
    share_by = ShareBy(load_default=None)


class WorkQueueChangeSchema(Strict):
    """What to change of a work queue."""

    description = Prose()
    paused = fields.Boolean(truthy={True}, falsy={False})
    concurrency_limit = fields.Integer(strict=True, allow_none=True, validate=_LIMIT)
    draining = fields.Boolean(
        truthy={True}, falsy={False}, metadata={"description": "Whether to hand out only what it has now."}
    )
    ageing_s = Ageing()
    share_by = ShareBy()


WorkQueuePage = page_of(WorkQueueSchema)
