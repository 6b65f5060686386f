"""Pings."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Name, PageQuery, Prose, Strict, no_control, page_of

_RESOURCE = {"description": "Id of what the events are about; `ping.NAME` when left out."}


def _resource() -> fields.String:
    return fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(min=1, max=1000), no_control],
        metadata=_RESOURCE,
    )


class PingInputSchema(Strict):
    """A ping to be made."""

    name = Name(required=True)
    resource_id = _resource()
    description = Prose(load_default="")


class PingSchema(Strict):
    """An address that a job calls when it starts and ends, and what was last heard by it."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    resource_id = fields.String(required=True)
    description = fields.String(required=True)
    state = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`started`, `succeeded` or `failed`; null: nothing was heard yet."},
    )
    heard = Instant(required=True, allow_none=True)
    started = Instant(
        required=True, allow_none=True, metadata={"description": "When the job under way started; null: none is."}
    )
    last_started = Instant(required=True, allow_none=True)
    last_succeeded = Instant(required=True, allow_none=True)
    last_failed = Instant(required=True, allow_none=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class PingCreatedSchema(PingSchema):
    """The same with its address, which is told this once."""

    url = fields.String(required=True, metadata={"description": "Kept nowhere: who has it may ping."})


class PingQuery(PageQuery):
    """Which pings to list, by name."""

    name = fields.String(metadata={"description": "Part of the name."})


PingPage = page_of(PingSchema)
