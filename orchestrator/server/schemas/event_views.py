"""Events as they are shown, and what became of those that were sent."""

from __future__ import annotations

from marshmallow import fields, validate

from ..db.models.event import KINDS, SOURCES
from .base import Instant, Mapping, PageQuery, Strict, page_of


def _labels() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.String(), required=True)


#: Most buckets of a histogram.
BUCKETS_MAX = 500


class EventRelationSchema(Strict):
    """What an event says that one resource is to another."""

    source = fields.String(required=True)
    target = fields.String(required=True)
    role = fields.String(required=True)


class EventSchema(Strict):
    """An event."""

    id = fields.UUID(required=True)
    event = fields.String(required=True)
    occurred = Instant(required=True)
    received = Instant(required=True)
    resource = _labels()
    related = fields.List(_labels(), required=True)
    payload = Mapping(required=True)
    follows = fields.UUID(required=True, allow_none=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    source = fields.String(required=True, validate=validate.OneOf(SOURCES))
    relations = fields.List(fields.Nested(EventRelationSchema), required=True)


class _Wanted(Strict):
    event = fields.List(
        fields.String(validate=validate.Length(1, 1024)),
        validate=validate.Length(max=50),
        metadata={"description": "A name; `*` stands for anything: `flow-run.*`. May be repeated."},
    )
    resource_id = fields.String()
    kind = fields.String(validate=validate.OneOf(KINDS))
    source = fields.String(validate=validate.OneOf(SOURCES), metadata={"description": "Who wrote it."})
    by = fields.String(metadata={"description": "Part of the name of who did it."})


class EventQuery(_Wanted, PageQuery):
    """Which events to list; newest first."""

    after = Instant()
    before = Instant()


class StreamQuery(_Wanted):
    """Which events to follow, and from where on."""

    since = Instant(load_default=None, metadata={"description": "Begin with what was stored since then; else now."})
    after = fields.String(
        load_default="",
        validate=validate.Length(max=100),
        metadata={"description": "Begin behind this: an `id` of the stream, or of an event; as `Last-Event-ID`."},
    )


class HistogramQuery(_Wanted):
    """Which events to count, over which time."""

    after = Instant(load_default=None, metadata={"description": "An hour before `before`, where none is given."})
    before = Instant(load_default=None, metadata={"description": "Now, where none is given."})
    buckets = fields.Integer(load_default=60, validate=validate.Range(1, BUCKETS_MAX))


class BucketSchema(Strict):
    """The events of a stretch of time."""

    at = Instant(required=True, metadata={"description": "When it begins."})
    total = fields.Integer(required=True)
    kinds = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class HistogramSchema(Strict):
    """Events counted over time."""

    after = Instant(required=True)
    before = Instant(required=True)
    seconds = fields.Float(required=True, metadata={"description": "Length of a bucket."})
    total = fields.Integer(required=True)
    cut = fields.Boolean(required=True, metadata={"description": "There are more events than are counted at once."})
    buckets = fields.List(fields.Nested(BucketSchema), required=True)


class EventRefusalSchema(Strict):
    """An event that was not taken."""

    index = fields.Integer(required=True)
    code = fields.String(required=True)
    message = fields.String(required=True)


class EventsTakenSchema(Strict):
    """What became of the events."""

    accepted = fields.Integer(required=True)
    refused = fields.List(fields.Nested(EventRefusalSchema), required=True)


EventPage = page_of(EventSchema)
