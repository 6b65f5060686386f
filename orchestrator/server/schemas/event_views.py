"""Events as they are shown, and what became of those that were sent."""

from __future__ import annotations

from marshmallow import fields, validate

from ..db.models.event import KINDS, SOURCES
from .base import Instant, Mapping, PageQuery, Strict, page_of


def _labels() -> fields.Dict:
    return fields.Dict(keys=fields.String(), values=fields.String(), required=True)


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


class EventQuery(PageQuery):
    """Which events to list; newest first."""

    event = fields.String(metadata={"description": "A name, or a beginning: `flow-run.*`."})
    resource_id = fields.String()
    after = Instant()
    before = Instant()


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
