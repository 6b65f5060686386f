"""Limits."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, PageQuery, Strict, page_of

#: Most slots that a limit has, and most names in one request.
SLOTS_MAX, NAMES_MAX = 1_000_000, 20
#: Seconds that a request may be held, and that slots may be held without being renewed.
WAIT_MAX, LEASE_MIN, LEASE_MAX = 30.0, 10.0, 86_400.0
#: As code names it, such as ``db`` or ``tag:warehouse``.
NAME = validate.Regexp(
    r"[^/\s\x00-\x1f]([^/\x00-\x1f]{0,253}[^/\s\x00-\x1f])?\Z",
    error="Must be up to 255 characters without '/', and no blank first or last.",
)
_SLOTS = validate.Range(1, SLOTS_MAX)
_DECAY = validate.Range(0, 1e6, min_inclusive=False)
_DECAYS = {"description": "Given: slots are not given back, but come back by themselves, so many a second."}


class LimitInputSchema(Strict):
    """A limit to be made."""

    name = fields.String(required=True, validate=NAME)
    slots = fields.Integer(required=True, strict=True, validate=_SLOTS)
    active = fields.Boolean(load_default=True)
    slot_decay_per_second = fields.Float(load_default=None, allow_none=True, validate=_DECAY, metadata=_DECAYS)


class LimitChangeSchema(Strict):
    """What of a limit shall be otherwise; what is left out stays."""

    slots = fields.Integer(strict=True, validate=_SLOTS)
    active = fields.Boolean()
    slot_decay_per_second = fields.Float(allow_none=True, validate=_DECAY, metadata=_DECAYS)


class SlotRequestSchema(Strict):
    """Slots that code asks for: of all the limits, or of none."""

    id = fields.UUID(required=True, metadata={"description": "Of the process's choice; asked again it is the same."})
    names = fields.List(
        fields.String(validate=validate.Length(1, 255)), required=True, validate=validate.Length(1, NAMES_MAX)
    )
    occupy = fields.Integer(load_default=1, strict=True, validate=_SLOTS)
    lease_s = fields.Float(load_default=60.0, validate=validate.Range(LEASE_MIN, LEASE_MAX))
    wait_s = fields.Float(load_default=0.0, validate=validate.Range(0, WAIT_MAX))
    holder = fields.String(load_default="", validate=validate.Length(0, 200))
    flow_run_id = fields.UUID(load_default=None, allow_none=True)
    root_run_id = fields.UUID(load_default=None, allow_none=True)
    task_run_id = fields.UUID(load_default=None, allow_none=True)
    strict = fields.Boolean(load_default=False)
    rate = fields.Boolean(load_default=False)


class SlotAnswerSchema(Strict):
    """What became of a request."""

    granted = fields.Boolean(required=True)
    limits = fields.List(fields.UUID(), required=True)
    unlimited = fields.List(
        fields.String(), required=True, metadata={"description": "Names of no limit, or of one that is not active."}
    )
    spent = fields.Boolean(required=True, metadata={"description": "Nothing is held: slots come back by themselves."})


class RenewalSchema(Strict):
    """Requests whose slots are held for longer."""

    ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 10_000))
    lease_s = fields.Float(load_default=60.0, validate=validate.Range(LEASE_MIN, LEASE_MAX))


class RenewedSchema(Strict):
    """Requests that hold nothing any more."""

    lost = fields.List(fields.UUID(), required=True)


class LimitHolderSchema(Strict):
    """A run, or other code, that holds slots or waits for some."""

    id = fields.UUID(required=True, allow_none=True, metadata={"description": "None: a run that holds a block."})
    flow_run_id = fields.UUID(required=True, allow_none=True)
    task_run_id = fields.UUID(required=True, allow_none=True)
    name = fields.String(required=True)
    attempt = fields.Integer(required=True, allow_none=True)
    flow = fields.String(required=True, allow_none=True)
    deployment = fields.String(required=True, allow_none=True)
    occupy = fields.Integer(required=True)
    asked = Instant(required=True, allow_none=True)
    taken = Instant(required=True, allow_none=True)
    expires = Instant(required=True, allow_none=True)


class LimitSchema(Strict):
    """A limit with those that hold its slots, and those that wait, in their order."""

    id = fields.UUID(required=True)
    name = fields.String(required=True, metadata={"description": "`block/TYPE/NAME` where a block declares it."})
    slots = fields.Integer(required=True)
    active = fields.Boolean(required=True)
    slot_decay_per_second = fields.Float(required=True, allow_none=True)
    taken = fields.Integer(required=True)
    block_id = fields.UUID(required=True, allow_none=True)
    holders = fields.List(fields.Nested(LimitHolderSchema), required=True)
    waiting = fields.List(fields.Nested(LimitHolderSchema), required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class LimitQuery(PageQuery):
    """Which limits to list, by name."""

    prefix = fields.String(metadata={"description": "How the names begin, such as `tag:`."})
    name = fields.String(metadata={"description": "Part of the name."})


LimitPage = page_of(LimitSchema)
