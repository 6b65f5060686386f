"""Notifications."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, PageQuery, ReferenceSchema, Strict, page_of

STATES = ("waiting", "sending", "sent", "given-up")


class NotificationSchema(Strict):
    """A message about a run, and what became of it."""

    id = fields.UUID(required=True)
    state = fields.String(required=True, metadata={"description": f"One of {', '.join(STATES)}."})
    block = fields.String(required=True, metadata={"description": "The notifier, as `type/name`."})
    block_id = fields.UUID(required=True)
    deployment_id = fields.UUID(required=True, allow_none=True)
    flow_run = fields.Nested(ReferenceSchema, required=True)
    run_state = fields.String(required=True, metadata={"description": "The state type that it tells of."})
    event_id = fields.UUID(required=True, metadata={"description": "The event that it tells of."})
    subject = fields.String(required=True)
    body = fields.String(required=True)
    attempts = fields.Integer(required=True)
    next_try = Instant(required=True, allow_none=True)
    created = Instant(required=True)
    sent = Instant(required=True, allow_none=True)
    given_up = Instant(required=True, allow_none=True)
    error = fields.String(required=True, metadata={"description": "Why the last try failed; empty when it did not."})


class NotificationQuery(PageQuery):
    """Which notifications to list, newest first."""

    state = fields.String(validate=validate.OneOf(STATES))
    flow_run_id = fields.UUID()
    deployment_id = fields.UUID()


NotificationPage = page_of(NotificationSchema)
