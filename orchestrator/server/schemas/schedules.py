"""Schedules. When they fire is checked by :mod:`orchestrator.timing.schedules`; here are the kinds of their fields."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

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


class ScheduleInputSchema(ScheduleTimes):
    """A schedule to be made, or what to change of one."""

    slug = Name()
    active = fields.Boolean(truthy={True}, falsy={False})
    parameters = Mapping()


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
    active = fields.Boolean(required=True)
    parameters = Mapping(required=True)
    next = fields.List(Instant(), required=True, metadata={"description": "The next three; none when not active."})


class ScheduleQuery(PageQuery):
    """Which schedules to list."""

    deployment_id = fields.UUID()


SchedulePage = page_of(ScheduleSchema)
