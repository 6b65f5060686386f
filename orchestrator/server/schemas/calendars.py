"""Calendars."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from ...timing.calendars import DATES_MAX
from ...timing.icalendars import TEXT_MAX
from .base import Instant, Prose, Strict, page_of


class CalendarInputSchema(Strict):
    """The days that count."""

    description = Prose(load_default="")
    weekdays = fields.List(fields.String(), load_default=None, allow_none=True, validate=validate.Length(1, 7))
    holidays = fields.List(fields.String(), load_default=list, validate=validate.Length(max=DATES_MAX))
    extra = fields.List(fields.String(), load_default=list, validate=validate.Length(max=DATES_MAX))
    ical = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=TEXT_MAX),
        metadata={"description": "An iCalendar file: the dates of its events are holidays as well."},
    )


class CalendarSchema(Strict):
    """A calendar."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    weekdays = fields.List(fields.String(), required=True)
    holidays = fields.List(fields.String(), required=True)
    extra = fields.List(fields.String(), required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


CalendarPage: type[Schema] = page_of(CalendarSchema)
