"""Backfills."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from ...documents.backfills import Reprocess, bound
from .base import ActorSchema, Instant, Mapping, Name, PageQuery, Strict, page_of

#: Most slots that a dry run lists.
SHOWN = 500
#: Most runs that go on at once.
ACTIVE_MAX = 1_000


class Bound(fields.String):
    """A date, or an instant."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            return bound(text)
        except ValueError:
            raise ValidationError("Not a date, 2026-01-31, nor an instant, 2026-01-31T06:00:00Z.") from None


class BackfillInputSchema(Strict):
    """Slots of a schedule to be run."""

    schedule = Name(load_default=None, allow_none=True, metadata={"description": "Slug; may be left out of one."})
    start = Bound(required=True, metadata={"description": "The first slot: a date in its zone, or an instant."})
    end = Bound(load_default=None, allow_none=True, metadata={"description": "The last one; now by default."})
    parameters = Mapping(
        load_default=dict,
        metadata={"description": "Laid over the others; `{{ slot:%Y-%m-%d }}` stands for the slot's time."},
    )
    max_active = fields.Integer(strict=True, load_default=1, validate=validate.Range(1, ACTIVE_MAX))
    backwards = fields.Boolean(truthy={True}, falsy={False}, load_default=False)
    reprocess = fields.Enum(
        Reprocess,
        by_value=True,
        load_default=Reprocess.NONE,
        metadata={"description": "Slots that have runs and get another one: `none`, `failed`, `completed`."},
    )


class BackfillPlanSchema(Strict):
    """What a backfill would do."""

    schedule = fields.String(required=True)
    count = fields.Integer(required=True, metadata={"description": "Runs that it would make."})
    skipped = fields.Integer(required=True, metadata={"description": "Slots left out, as they have runs."})
    slots = fields.List(Instant(), required=True, metadata={"description": f"The first {SHOWN}, in their order."})
    parameters = Mapping(required=True, allow_none=True, metadata={"description": "Of the first run."})


class BackfillSchema(Strict):
    """A backfill."""

    id = fields.UUID(required=True)
    deployment_id = fields.UUID(required=True)
    schedule = fields.String(required=True)
    schedule_id = fields.UUID(required=True, allow_none=True)
    start = Instant(required=True)
    end = Instant(required=True)
    parameters = Mapping(required=True)
    max_active = fields.Integer(required=True)
    backwards = fields.Boolean(required=True)
    reprocess = fields.String(required=True)
    skipped = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(["RUNNING", "DONE", "CANCELLED"]))
    total = fields.Integer(required=True, metadata={"description": "Its runs, as far as they are kept."})
    counts = Mapping(required=True, metadata={"description": "Its runs by type of state."})
    cancelled = Instant(required=True, allow_none=True)
    created = Instant(required=True)
    created_by = fields.Nested(ActorSchema, required=True, allow_none=True)


class BackfillQuery(PageQuery):
    """Which backfills to list, newest first."""

    deployment_id = fields.UUID()


BackfillPage = page_of(BackfillSchema)
