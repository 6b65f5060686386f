"""Limits."""

from __future__ import annotations

from marshmallow import fields

from .base import Instant, Strict, page_of


class LimitHolderSchema(Strict):
    """A run that holds a slot."""

    flow_run_id = fields.UUID(required=True)
    name = fields.String(required=True)
    attempt = fields.Integer(required=True)
    flow = fields.String(required=True)
    deployment = fields.String(required=True, allow_none=True)
    taken = Instant(required=True)


class LimitSchema(Strict):
    """A limit with the runs that hold its slots."""

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"description": "`block/TYPE/NAME` of the block that declares it."})
    slots = fields.Integer(required=True)
    taken = fields.Integer(required=True)
    block_id = fields.UUID(required=True, allow_none=True)
    holders = fields.List(fields.Nested(LimitHolderSchema), required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


LimitPage = page_of(LimitSchema)
