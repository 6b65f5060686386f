"""Errands: what agents are asked to do with a block."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Json, Name, Seconds, Strict
from .flow_runs import WaitingReasonSchema

#: Longest that a question for an errand's result is held, in seconds.
WAIT_MAX = 20.0


def _queue() -> fields.String:
    return Name(load_default="default", metadata={"description": "Queue whose agents do it."})


class ErrandInputSchema(Strict):
    """An agent is to do something with a block."""

    work_queue = _queue()


class PathInputSchema(Strict):
    """An agent is to look at a place in a storage."""

    path = fields.String(
        load_default="",
        validate=validate.Length(max=4096),
        metadata={"description": "Below the block's own root; empty: the root."},
    )
    work_queue = _queue()


class InspectInputSchema(PathInputSchema):
    """An agent is to look for flows in a folder, or in one file."""

    entrypoint = fields.String(
        load_default="",
        validate=validate.Length(max=4096),
        metadata={"description": "`file.py:function` or `package.module:function`: only this one."},
    )


class ErrandStartedSchema(Strict):
    """The errand's flow run; `GET errands/{run}` tells how it stands."""

    run = fields.UUID(required=True)


class ErrandQuery(Strict):
    """How long to wait for the end."""

    wait_s = Seconds(WAIT_MAX, "its end")


class ErrandSchema(Strict):
    """How an errand stands."""

    run = fields.UUID(required=True)
    verb = fields.String(required=True)
    state = fields.String(required=True, metadata={"description": "As of flow runs; `COMPLETED`: it has a result."})
    message = fields.String(required=True, metadata={"description": "Why it failed, where it did."})
    result = Json(required=True, allow_none=True)
    waiting_reason = fields.Nested(WaitingReasonSchema, required=True, allow_none=True)
