"""Health."""

from __future__ import annotations

from marshmallow import fields

from .base import Strict


class LiveSchema(Strict):
    """The process answers."""

    status = fields.String(required=True)


class PartSchema(Strict):
    """One part that the server needs."""

    ok = fields.Boolean(required=True)
    message = fields.String(required=True)


class LoopSchema(Strict):
    """One loop."""

    last_tick_age_s = fields.Float(required=True, allow_none=True)
    interval_s = fields.Float(required=True)
    ok = fields.Boolean(required=True)
    message = fields.String(required=True)


class PartsSchema(Strict):
    """All parts."""

    database = fields.Nested(PartSchema, required=True)
    redis = fields.Nested(PartSchema, required=True)
    secrets = fields.Nested(
        PartSchema,
        required=True,
        metadata={"description": "Names blocks that the secret key does not open; the server is ready all the same."},
    )
    loops = fields.Dict(keys=fields.String(), values=fields.Nested(LoopSchema), required=True)


class ReadySchema(Strict):
    """Whether work can be done."""

    status = fields.String(required=True, metadata={"description": "`ready` or `not ready`."})
    version = fields.String(required=True)
    parts = fields.Nested(PartsSchema, required=True)
