"""Secret keys."""

from __future__ import annotations

from marshmallow import fields

from .base import Strict


class SecretKeySchema(Strict):
    """One of the server's secret keys."""

    id = fields.String(required=True, metadata={"description": "Drawn from the key; tells nothing of it."})
    blocks = fields.Integer(required=True, metadata={"description": "Blocks that are encrypted with it."})


class SecretKeyCheckSchema(Strict):
    """What the server's keys open; the first one encrypts."""

    keys = fields.List(fields.Nested(SecretKeySchema), required=True)
    unreadable = fields.List(
        fields.String(), required=True, metadata={"description": "Blocks that none opens; at most 20 are named."}
    )
    unreadable_count = fields.Integer(required=True)
    left = fields.Integer(required=True, metadata={"description": "Blocks that another than the first key opens."})


class SecretKeyRotationSchema(Strict):
    """What one step of a rotation did; it is done when nothing is left."""

    rotated = fields.Integer(required=True)
    left = fields.Integer(required=True)
    unreadable = fields.List(fields.String(), required=True)
