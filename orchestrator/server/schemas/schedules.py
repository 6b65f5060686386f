"""Schedules. When they fire is checked by :mod:`orchestrator.timing.plans`; here are the kinds of their fields."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from ...timing.calendars import DATES_MAX
from ...timing.plans import NOTE_MAX, Overlap
from .base import Instant, Json, Mapping, Name, PageQuery, Strict, page_of

#: Most instants of a preview.
PREVIEW_MAX = 500


class ScheduleTimes(Strict):
    """When a schedule fires: exactly one of `cron`, `interval` and `rrule`."""

    cron = fields.String(allow_none=True, validate=validate.Length(max=256))
    day_or = fields.Boolean(
        truthy={True}, falsy={False}, metadata={"description": "cron: join day of month and day of week by OR."}
    )
    interval = Json(allow_none=True, metadata={"description": "Seconds, or text such as `1h30m`."})
    anchor = fields.String(
        allow_none=True, metadata={"description": "interval, rrule: the instant that fixes the phase."}
    )
    rrule = fields.String(allow_none=True, validate=validate.Length(max=6500))
    timezone = fields.String(metadata={"description": "Name of a time zone, such as `Europe/Berlin`."})
    start = fields.String(allow_none=True, metadata={"description": "The first instant at which it may fire."})
    end = fields.String(allow_none=True, metadata={"description": "The last one."})
    calendar = fields.String(allow_none=True, metadata={"description": "Name of a calendar: it fires on its days."})
    skip_dates = fields.List(
        fields.String(),
        allow_none=True,
        validate=validate.Length(max=DATES_MAX),
        metadata={"description": "Dates on which it does not fire: `2026-12-25`, or `12-25` for each year."},
    )


class ScheduleInputSchema(ScheduleTimes):
    """A schedule to be made, or what to change of one."""

    slug = Name()
    active = fields.Boolean(truthy={True}, falsy={False})
    parameters = Mapping()
    jitter = Json(allow_none=True, metadata={"description": "Runs begin up to so much later: seconds, or `5m`."})
    catch_up = Json(
        allow_none=True,
        metadata={"description": "Missed slots that are run: `latest`, `none`, `all`, or up to how late, as `6h`."},
    )
    overlap = fields.String(allow_none=True, validate=validate.OneOf([item.value for item in Overlap]))
    pause_on_failure = fields.Boolean(truthy={True}, falsy={False}, allow_none=True)
    note = fields.String(allow_none=True, validate=validate.Length(max=NOTE_MAX))


class SchedulePreviewSchema(ScheduleTimes):
    """A schedule, and how many of its instants to tell."""

    n = fields.Integer(strict=True, load_default=10, validate=validate.Range(1, PREVIEW_MAX))
    after = Instant(load_default=None, allow_none=True, metadata={"description": "Only later ones; now by default."})

    @validates_schema
    def _not_empty(self, data: dict[str, Any], **_: Any) -> None:
        if not any(data.get(kind) is not None for kind in ("cron", "interval", "rrule")):
            raise ValidationError("Give one of cron, interval and rrule.", "cron")


class InstantsSchema(Strict):
    """Instants."""

    items = fields.List(Instant(), required=True)


class ScheduleSchema(Strict):
    """A schedule."""

    id = fields.UUID(required=True)
    deployment_id = fields.UUID(required=True)
    slug = fields.String(required=True)
    cron = fields.String(required=True, allow_none=True)
    day_or = fields.Boolean(required=True)
    interval = fields.Float(required=True, allow_none=True, metadata={"description": "Seconds."})
    anchor = Instant(required=True, allow_none=True)
    rrule = fields.String(required=True, allow_none=True)
    timezone = fields.String(required=True)
    start = Instant(required=True, allow_none=True)
    end = Instant(required=True, allow_none=True)
    calendar = fields.String(required=True, metadata={"description": "Empty: all days."})
    skip_dates = fields.List(fields.String(), required=True)
    jitter = fields.Float(required=True, metadata={"description": "Seconds."})
    catch_up = Json(required=True, metadata={"description": "`latest`, `none`, `all`, or seconds."})
    overlap = fields.String(required=True)
    pause_on_failure = fields.Boolean(required=True)
    note = fields.String(required=True)
    active = fields.Boolean(required=True)
    parameters = Mapping(required=True)
    next = fields.List(Instant(), required=True, metadata={"description": "The next three; none when not active."})


class ScheduleQuery(PageQuery):
    """Which schedules to list."""

    deployment_id = fields.UUID()


SchedulePage = page_of(ScheduleSchema)
