"""Work queues."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Name, Prose, Strict, page_of

_LIMIT = validate.Range(0, 2**31 - 1)


class WorkQueueSchema(Strict):
    """A work queue."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    paused = fields.Boolean(required=True)
    concurrency_limit = fields.Integer(required=True, allow_none=True)
    waiting = fields.Integer(required=True, metadata={"description": "Runs that are due and wait."})
    running = fields.Integer(required=True, metadata={"description": "Runs that occupy its slots."})
    created = Instant(required=True)


class WorkQueueInputSchema(Strict):
    """A work queue to be made."""

    name = Name(required=True)
    description = Prose(load_default="")
    paused = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    concurrency_limit = fields.Integer(strict=True, allow_none=True, load_default=None, validate=_LIMIT)


class WorkQueueChangeSchema(Strict):
    """What to change of a work queue."""

    description = Prose()
    paused = fields.Boolean(truthy={True}, falsy={False})
    concurrency_limit = fields.Integer(strict=True, allow_none=True, validate=_LIMIT)


WorkQueuePage = page_of(WorkQueueSchema)
