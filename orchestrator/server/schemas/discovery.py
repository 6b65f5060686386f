"""Discovery: how blocks are looked through, and what looks send."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from .base import Instant, Json, Mapping, Name, Strict
from .flow_runs import WaitingReasonSchema

#: Most items in one request of a look.
BATCH_MAX = 1000
#: Longest id of a resource, in bytes: it is a key.
ID_MAX = 1000


def identifier(value: str) -> None:
    """Refuse what cannot be the id of a resource."""
    if not value.strip() or len(value.encode()) > ID_MAX or "\x00" in value:
        raise ValidationError(f"Must have 1 to {ID_MAX} bytes, none of them NUL.")


def _text(most: int, **more: object) -> fields.String:
    return fields.String(validate=validate.Length(max=most), **more)  # type: ignore[arg-type]


class DiscoverySchema(Strict):
    """How a block is looked through, and how it goes."""

    block_id = fields.UUID(required=True)
    active = fields.Boolean(required=True)
    interval_s = fields.Integer(required=True)
    work_queue = fields.String(required=True, metadata={"description": "Queue whose agents look."})
    next_due = Instant(required=True)
    last_run = Instant(required=True, allow_none=True)
    last_ok = Instant(required=True, allow_none=True)
    failures = fields.Integer(required=True, metadata={"description": "Looks that failed since the last good one."})
    error = fields.String(required=True, metadata={"description": "Why the last look failed; empty when it did not."})
    notice = fields.String(required=True, metadata={"description": "What the last good look left out."})
    found = fields.Integer(required=True, metadata={"description": "Resources that the last good look found."})
    run = fields.UUID(required=True, allow_none=True, metadata={"description": "The look under way."})
    waiting_reason = fields.Nested(
        WaitingReasonSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Why the look under way, or the one that is due, does not begin."},
    )


class DiscoveryChangeSchema(Strict):
    """What is to be set; what is left out stays."""

    active = fields.Boolean()
    interval_s = fields.Integer(strict=True)
    work_queue = Name()


class SeenRelationSchema(Strict):
    """A resource that another one belongs to, or deals with."""

    id = fields.String(required=True, validate=identifier)
    role = fields.String(required=True, validate=validate.Length(1, 100))


class SeenResourceSchema(Strict):
    """A resource as a look saw it."""

    id = fields.String(required=True, validate=identifier)
    kind = fields.String(required=True, validate=validate.Length(1, 200))
    name = _text(1024, required=True)
    labels = Mapping(load_default=dict)
    related = fields.List(fields.Nested(SeenRelationSchema), load_default=list, validate=validate.Length(max=200))
    volatile = fields.List(fields.String(), load_default=list)


class SeenSchema(Strict):
    """Some of the resources that a look saw."""

    resources = fields.List(fields.Nested(SeenResourceSchema), required=True, validate=validate.Length(max=BATCH_MAX))


class SeenAnswerSchema(Strict):
    """How many of them are new."""

    appeared = fields.Integer(required=True)


class ObservedSchema(Strict):
    """Something that happened in a system."""

    event = fields.String(required=True, validate=validate.Length(1, 200))
    resource = fields.Nested(SeenResourceSchema, required=True)
    occurred = Instant(load_default=None, allow_none=True)
    payload = Mapping(load_default=dict)
    key = _text(4096, load_default="", metadata={"description": "The same for the same happening at every look."})


class ObservationsSchema(Strict):
    """Some of what happened since the last look."""

    events = fields.List(fields.Nested(ObservedSchema), required=True, validate=validate.Length(max=BATCH_MAX))


class LookSchema(Strict):
    """Where the last good look ended."""

    cursor = Json(required=True, allow_none=True)
    is_first = fields.Boolean(required=True)


class LookEndSchema(Strict):
    """A look is done."""

    cursor = Json(load_default=None, allow_none=True)
    found = fields.Integer(required=True, strict=True, validate=validate.Range(min=0))
    is_complete = fields.Boolean(
        required=True, metadata={"description": "It saw all that is there: what it did not find has vanished."}
    )
    notice = _text(2000, load_default="")


class LookEndAnswerSchema(Strict):
    """How many resources vanished."""

    vanished = fields.Integer(required=True)
