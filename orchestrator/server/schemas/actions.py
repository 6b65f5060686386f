"""Actions, and the kinds of them."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Json, Mapping, PageQuery, ReferenceSchema, Strict, page_of

STATES = ("waiting", "running", "done", "given-up", "skipped")


class ActionSchema(Strict):
    """What a firing asked for, and what became of it."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, metadata={"description": "Such as `notify`; see `action-kinds`."})
    state = fields.String(required=True, metadata={"description": f"One of {', '.join(STATES)}."})
    expectation = fields.Nested(
        ReferenceSchema, required=True, allow_none=True, metadata={"description": "Where no trigger asked for it."}
    )
    firing_id = fields.UUID(required=True)
    trigger = fields.Nested(ReferenceSchema, required=True, allow_none=True)
    moment = fields.String(
        required=True,
        metadata={
            "description": "`fire` or `resolve`: what asked for it; `test`: somebody did, to see whether it arrives."
        },
    )
    position = fields.Integer(required=True, metadata={"description": "Its place in that list of the trigger."})
    spec = Mapping(required=True, metadata={"description": "The action's document, its templates not filled in."})
    rendered = Json(required=True, allow_none=True, metadata={"description": "What its templates became."})
    target = fields.String(required=True, metadata={"description": "The block that does it, as `type/name`."})
    attempts = fields.Integer(required=True)
    next_try = Instant(required=True, allow_none=True)
    created = Instant(required=True)
    ended = Instant(required=True, allow_none=True)
    result = Json(required=True, allow_none=True, metadata={"description": "What it led to, such as a run's id."})
    error = fields.String(required=True, metadata={"description": "Why the last try failed; empty when it did not."})


class TrialMessageSchema(Strict):
    """The action that sends it; `GET actions/{action}` tells what became of it."""

    action = fields.UUID(required=True)


class ActionQuery(PageQuery):
    """Which actions to list, newest first."""

    state = fields.String(validate=validate.OneOf(STATES))
    kind = fields.String()
    firing_id = fields.UUID()
    trigger_id = fields.UUID()
    expectation_id = fields.UUID()
    deployment_id = fields.UUID(metadata={"description": "Of triggers that this deployment owns."})
    flow_run_id = fields.UUID(metadata={"description": "Because of events about this run."})
    target = fields.String(metadata={"description": "The block that does it, as `type/name`."})


class FieldSchema(Strict):
    """One field of a kind of action."""

    name = fields.String(required=True)
    kind = fields.String(required=True)
    description = fields.String(required=True)
    required = fields.Boolean(required=True)
    choices = fields.List(fields.String(), required=True)
    interface = fields.String(required=True, metadata={"description": "What a block needs to be."})
    fixed = fields.Boolean(required=True, metadata={"description": "It cannot be a template."})
    pattern = fields.Boolean(required=True, metadata={"description": "It may be a pattern, written out."})


class ActionKindSchema(Strict):
    """A kind of action, as a form shows it."""

    name = fields.String(required=True)
    title = fields.String(required=True)
    description = fields.String(required=True)
    outgoing = fields.Boolean(required=True, metadata={"description": "It reaches another system."})
    fields_ = fields.List(fields.Nested(FieldSchema), required=True, data_key="fields")
    one_of = fields.List(
        fields.List(fields.String()), required=True, metadata={"description": "Fields of which one is to be given."}
    )


class ActionKindsSchema(Strict):
    """All kinds of action, and the names that their templates know."""

    items = fields.List(fields.Nested(ActionKindSchema), required=True)
    next = fields.String(required=True, allow_none=True)
    names = fields.List(fields.String(), required=True)


ActionPage = page_of(ActionSchema)
