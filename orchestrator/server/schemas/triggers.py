"""Triggers and their firings."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from .base import Instant, Json, Mapping, PageQuery, ReferenceSchema, Strict, page_of

SEVERITIES = ("info", "warning", "critical")
STATES = ("open", "resolved", "suppressed")
CAUSES = ("trigger", "expectation")
STANDINGS = ("off", "muted", "firing", "armed")
_SINCE = {"description": "Where history begins; at most as long ago as events are kept."}
_WHEN = {"description": "What it waits for: see the page on triggers."}
_DURATION = {"description": "Seconds, or 5m, 1h30m, 2d."}


def _facts(given: bool) -> dict[str, Any]:
    """The parts of a document; what they may hold is checked where documents are read, for all ways in alike."""
    return {
        "name": Json(required=given, metadata={"type": "string"}),
        "description": Json(metadata={"type": "string"}),
        "owner": Json(metadata={"type": "string", "description": "Whoever looks after it."}),
        "severity": Json(metadata={"type": "string", "enum": list(SEVERITIES)}),
        "active": Json(metadata={"type": "boolean"}),
        "debounce": Json(metadata=_DURATION),
        "hourly_max": Json(metadata={"type": "integer", "description": "Most firings in an hour."}),
        "when": Json(required=given, metadata=_WHEN),
        "then": Json(metadata={"type": "array", "items": {"type": "object"}}),
        "on_resolve": Json(metadata={"type": "array", "items": {"type": "object"}}),
    }


TriggerInputSchema = Strict.from_dict(_facts(True), name="TriggerInputSchema")
TriggerChangeSchema = Strict.from_dict(_facts(False), name="TriggerChangeSchema")


class TriggerSchema(Strict):
    """A trigger."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    owner = fields.String(required=True)
    severity = fields.String(required=True, validate=validate.OneOf(SEVERITIES))
    active = fields.Boolean(required=True)
    debounce = fields.Float(required=True, metadata={"description": "Seconds."})
    hourly_max = fields.Integer(required=True)
    when = Mapping(required=True)
    then = fields.List(Mapping(), required=True)
    on_resolve = fields.List(Mapping(), required=True)
    sentence = fields.String(required=True, metadata={"description": "The same in plain English."})
    standing = fields.String(required=True, validate=validate.OneOf(STANDINGS))
    deployment = fields.Nested(
        ReferenceSchema, required=True, allow_none=True, metadata={"description": "Whose document it stands in."}
    )
    muted_until = Instant(required=True, allow_none=True)
    since = Instant(required=True, metadata={"description": "Since when it listens."})
    created = Instant(required=True)
    updated = Instant(required=True)


class TriggerQuery(PageQuery):
    """Which triggers to list, by name."""

    name = fields.String(metadata={"description": "Part of the name."})
    deployment_id = fields.UUID()
    owner = fields.String()
    severity = fields.String(validate=validate.OneOf(SEVERITIES))
    active = fields.Boolean()
    standing = fields.String(validate=validate.OneOf(STANDINGS))


class TriggerMuteSchema(Strict):
    """Until when it does nothing."""

    until = Instant(required=True, allow_none=True, metadata={"description": "null: it does things again."})


class TriggerCheckedSchema(Strict):
    """What a document says, or what is wrong with it."""

    sentence = fields.String(required=True, allow_none=True)
    errors = Mapping(required=True, metadata={"description": "Field name to a list of messages; empty: it is fine."})


class TriggerDocumentSchema(Strict):
    """A trigger document."""

    document = Mapping(required=True)


class TriggerTestSchema(Strict):
    """What to replay history through."""

    document = Mapping(required=True)
    since = Instant(required=True, metadata=_SINCE)


class KeySchema(Strict):
    """Where a trigger stands for one key."""

    key = fields.List(fields.String(), required=True, metadata={"description": "Values of its `for_each`."})
    text = fields.String(required=True, metadata={"description": "What it remembers, in plain English."})
    since = Instant(required=True, allow_none=True)
    deadline = Instant(
        required=True, allow_none=True, metadata={"description": "When the clock alone decides; null: events do."}
    )
    updated = Instant(required=True)


class WouldFireSchema(Strict):
    """A firing that would have been."""

    at = Instant(required=True)
    key = fields.String(required=True)
    reason = fields.String(required=True)
    event_id = fields.UUID(required=True, allow_none=True)
    suppressed = fields.String(required=True, metadata={"description": "Why nothing would be done; else empty."})
    resolved = Instant(required=True, allow_none=True)


class ReplaySchema(Strict):
    """What came of it."""

    sentence = fields.String(required=True)
    since = Instant(required=True)
    until = Instant(required=True)
    events = fields.Integer(required=True, metadata={"description": "Events that were looked at."})
    matching = fields.Integer(required=True)
    fired = fields.Integer(required=True)
    firings = fields.List(fields.Nested(WouldFireSchema), required=True)
    is_cut = fields.Boolean(required=True, metadata={"description": "There was too much: it ends at `until`."})


class ExplainInputSchema(Strict):
    """Which event to hold against the trigger."""

    event_id = fields.UUID(required=True)


class VerdictSchema(Strict):
    """One thing that was looked at."""

    ok = fields.Boolean(required=True)
    what = fields.String(required=True)


class ExplanationSchema(Strict):
    """Whether an event counts for a trigger, and why."""

    counts = fields.Boolean(required=True)
    verdicts = fields.List(fields.Nested(VerdictSchema), required=True)
    firings = fields.List(
        fields.UUID(), required=True, metadata={"description": "The firings that it was the event of."}
    )


class FiringSchema(Strict):
    """One time that a trigger fired, or an expectation was missed."""

    id = fields.UUID(required=True)
    trigger = fields.Nested(ReferenceSchema, required=True, allow_none=True)
    expectation = fields.Nested(
        ReferenceSchema, required=True, allow_none=True, metadata={"description": "Of what it is where of no trigger."}
    )
    severity = fields.String(required=True)
    key = fields.String(required=True)
    occasion = fields.String(required=True, metadata={"description": "What for; each counts once."})
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    suppressed = fields.String(required=True, metadata={"description": "Why nothing is done; else empty."})
    fired = Instant(required=True)
    occurred = Instant(required=True)
    event_id = fields.UUID(required=True, allow_none=True)
    reason = fields.String(required=True)
    context = Mapping(required=True)
    chain_id = fields.UUID(required=True)
    depth = fields.Integer(required=True)
    resolved = Instant(required=True, allow_none=True)
    acknowledged = Instant(required=True, allow_none=True)
    acknowledged_by = fields.String(required=True)


class FiringQuery(PageQuery):
    """Which firings to list, newest first."""

    state = fields.String(validate=validate.OneOf(STATES))
    of = fields.String(validate=validate.OneOf(CAUSES))
    name = fields.String(metadata={"description": "Part of the name of the trigger or expectation."})
    trigger_id = fields.UUID()
    expectation_id = fields.UUID()
    chain_id = fields.UUID()
    event_id = fields.UUID()
    severity = fields.String(validate=validate.OneOf(SEVERITIES))
    acknowledged = fields.Boolean()
    after = Instant()
    before = Instant()


TriggerPage = page_of(TriggerSchema)
KeyPage = page_of(KeySchema)
FiringPage = page_of(FiringSchema)
