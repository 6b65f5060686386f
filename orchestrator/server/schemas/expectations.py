"""Expectations and their occurrences."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ...expectations import STATUSES
from ...expectations.documents import SEVERITIES
from .base import Instant, Json, Mapping, Name, PageQuery, Prose, Strict, page_of

_SPAN = {"description": "Seconds, or text such as `90s`, `5m`, `1h30m`, `2d`."}
_TIME_OF_DAY = {"description": "A local time such as `09:15`, or so long after the slot: `15m`."}


class ExpectationInputSchema(Strict):
    """An expectation; see the manual for what goes with what."""

    name = Name(required=True)
    description = Prose(allow_none=True)
    owner = fields.String(allow_none=True)
    severity = fields.String(validate=validate.OneOf(SEVERITIES), allow_none=True)
    active = fields.Boolean(allow_none=True)
    on = Json(metadata={"description": "Which events count: `match`, `match_related`, `expect`."}, allow_none=True)
    run = Json(
        metadata={"description": "Which runs count: `deployment`, `flow`, `tags`, `state`, `finishes_within`, `of`."},
        allow_none=True,
    )
    every = Json(metadata={"description": "`cron`, `interval` or `rrule`; `timezone`, `calendar`."}, allow_none=True)
    by = Json(metadata=_TIME_OF_DAY, allow_none=True)
    early = Json(metadata=_SPAN, allow_none=True)
    grace = Json(metadata=_SPAN, allow_none=True)
    within = Json(metadata=_SPAN, allow_none=True)
    heartbeat = Json(metadata=_SPAN, allow_none=True)
    calendar = fields.String(allow_none=True)
    timezone = fields.String(allow_none=True)
    count = Json(metadata={"description": "How many are expected; 1 when left out."}, allow_none=True)
    for_each = Json(metadata={"description": "A label, or several: each of its values by itself."}, allow_none=True)
    each_of = Json(metadata={"description": "The values that are expected, seen before or not."}, allow_none=True)
    then = Json(metadata={"description": "Actions of a miss."}, allow_none=True)
    on_resolve = Json(metadata={"description": "Actions of when it came after all."}, allow_none=True)


class ExpectationChangeSchema(ExpectationInputSchema):
    """Fields of the document to set; null takes one out."""

    name = Name()


class ExpectationSchema(Strict):
    """An expectation."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    sentence = fields.String(required=True, metadata={"description": "What is expected, in plain English."})
    document = Mapping(required=True)
    severity = fields.String(required=True)
    owner = fields.String(required=True)
    active = fields.Boolean(required=True)
    deployment_id = fields.UUID(required=True, allow_none=True, metadata={"description": "Whose document it is in."})
    since = Instant(required=True, metadata={"description": "Nothing of before counts."})
    muted_until = Instant(required=True, allow_none=True)
    created = Instant(required=True)
    updated = Instant(required=True)


ExpectationPage: type[Schema] = page_of(ExpectationSchema)


class ExpectationQuery(PageQuery):
    """Which expectations to list; by name."""

    name = fields.String(metadata={"description": "Part of the name."})
    owner = fields.String()
    severity = fields.String(validate=validate.OneOf(SEVERITIES))
    active = fields.Boolean()
    deployment_id = fields.UUID()


class MuteSchema(Strict):
    """Until when misses are noted and nothing is done."""

    until = Instant(required=True, allow_none=True)


class HitSchema(Strict):
    """Something that counted."""

    at = Instant(required=True)
    ref = fields.String(required=True, metadata={"description": "Id of the event or the run."})


class OccurrenceSchema(Strict):
    """One time that something is expected."""

    id = fields.UUID(required=True)
    expectation_id = fields.UUID(required=True)
    expectation = fields.String(required=True)
    key = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    slot = Instant(required=True)
    opens = Instant(required=True)
    due = Instant(required=True)
    deadline = Instant(required=True, metadata={"description": "`due` with the grace."})
    closes = Instant(required=True, allow_none=True)
    satisfied = Instant(required=True, allow_none=True)
    judged = Instant(required=True, allow_none=True)
    judged_late = fields.Boolean(required=True, metadata={"description": "Judged after an outage."})
    eta = Instant(
        required=True,
        allow_none=True,
        metadata={
            "description": "When it will probably be met; null where another is due before, or nothing is known."
        },
    )
    risk = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf(("likely", "possible")),
        metadata={"description": "It will probably be missed, or will be if things take as long as now and then."},
    )
    hits = fields.List(fields.Nested(HitSchema), required=True)


OccurrencePage: type[Schema] = page_of(OccurrenceSchema)


class OccurrenceQuery(PageQuery):
    """Which occurrences to list; the latest due first."""

    status = fields.String(validate=validate.OneOf(STATUSES))
    key = fields.String()
    after = Instant(metadata={"description": "Due at or after."})
    before = Instant(metadata={"description": "Due before."})


class CalendarSpanQuery(Strict):
    """Which stretch of the calendar."""

    start = Instant(required=True, data_key="from")
    end = Instant(required=True, data_key="to")


class OccurrencesSchema(Strict):
    """What is due in a stretch of time."""

    items = fields.List(fields.Nested(OccurrenceSchema), required=True)


class CheckedSchema(Strict):
    """A document that is right, in plain English, and when it is due next."""

    sentence = fields.String(required=True)
    next = fields.List(Instant(), required=True)


class SuggestionQuery(Strict):
    """Whose days and hours to look for a pattern in."""

    timezone = fields.String(load_default="UTC", metadata={"description": "IANA name of the time zone."})
    deployment = fields.String(load_default=None, metadata={"description": "`flow/name`: only its runs."})


class SuggestionSchema(Strict):
    """An expectation that might be made."""

    document = Mapping(required=True, metadata={"description": "What `POST expectations` takes."})
    sentence = fields.String(required=True)
    seen = fields.String(required=True, metadata={"description": "What it was learned from."})
    samples = fields.Integer(required=True)
    met = fields.Float(required=True, metadata={"description": "Share of the past that would have met it."})


class SuggestionsSchema(Strict):
    """What may be expected that nobody expects yet."""

    items = fields.List(fields.Nested(SuggestionSchema), required=True)
