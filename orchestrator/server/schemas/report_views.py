"""What became of a report."""

from __future__ import annotations

from marshmallow import fields

from .base import Strict


class RefusedItemSchema(Strict):
    """An item that was not stored."""

    producer = fields.UUID(required=True)
    sequence = fields.Integer(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)


class ReportTakenSchema(Strict):
    """How far each producer was heard, and what was refused."""

    accepted = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    refused = fields.List(fields.Nested(RefusedItemSchema), required=True)
