"""Holds."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from .base import Instant, Json, PageQuery, Prose, Strict, page_of

KINDS = ("stop", "limit", "delay")


class Selector(fields.Dict):
    """Labels of resources, each with a pattern or several: ``*`` stands for anything, a leading ``!`` negates."""

    def __init__(self, **more: Any) -> None:
        text = {"description": "Labels: a pattern or a list of them. `*` stands for anything, a leading `!` negates."}
        super().__init__(keys=fields.String(validate=validate.Length(min=1, max=1024)), metadata=text, **more)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        found: dict[str, Any] = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        for name, patterns in found.items():
            given = patterns if isinstance(patterns, list) else [patterns]
            if not given or not all(isinstance(text, str) and 0 < len(text) <= 1024 for text in given):
                raise ValidationError({name: ["Must be a pattern, or a list of some."]})
        return found


class EventPatternSchema(Strict):
    """An event that is waited for."""

    event = fields.String(required=True, validate=validate.Length(min=1, max=1024))
    match = Selector(load_default=dict)


class HoldInputSchema(Strict):
    """A hold to be placed."""

    match = Selector(required=True)
    kind = fields.String(load_default="stop", validate=validate.OneOf(KINDS))
    slots = fields.Integer(load_default=None, allow_none=True, strict=True, validate=validate.Range(0, 10_000))
    delay_s = fields.Float(load_default=None, allow_none=True, validate=validate.Range(0, 366 * 86_400))
    reason = Prose(required=True)
    until = Instant(load_default=None, allow_none=True)
    until_event = fields.Nested(EventPatternSchema, load_default=None, allow_none=True)


class HoldQuery(PageQuery):
    """Which holds are listed."""

    in_force = fields.Boolean(load_default=None)
    on = fields.String(load_default=None, metadata={"description": "Only those in force on this resource."})


class HeldDeploymentSchema(Strict):
    """A deployment that a hold holds."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    waiting = fields.Integer(required=True, metadata={"description": "Its runs that are due and have not begun."})


class HoldSchema(Strict):
    """A hold, and what it holds."""

    id = fields.UUID(required=True)
    match = Selector(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    slots = fields.Integer(required=True, allow_none=True)
    delay_s = fields.Float(required=True, allow_none=True)
    reason = fields.String(required=True)
    until = Instant(required=True, allow_none=True)
    until_event = fields.Nested(EventPatternSchema, required=True, allow_none=True)
    placed = Instant(required=True)
    placed_by = Json(required=True)
    firing_id = fields.UUID(required=True, allow_none=True)
    released = Instant(required=True, allow_none=True)
    released_by = Json(required=True, allow_none=True)
    release_reason = fields.String(required=True)
    deployments = fields.List(fields.Nested(HeldDeploymentSchema), required=True)


class PreviewInputSchema(Strict):
    """What a hold would be on."""

    match = Selector(required=True)


class PreviewSchema(Strict):
    """What a hold would be on, and what it would hold."""

    resources = fields.List(
        fields.String(), required=True, metadata={"description": "Ids of resources, the first 20 of them."}
    )
    number = fields.Integer(required=True, metadata={"description": "How many resources that are in all."})
    deployments = fields.List(fields.Nested(HeldDeploymentSchema), required=True)


HoldPage = page_of(HoldSchema)


class ReleaseSchema(Strict):
    """Why a hold is released."""

    reason = fields.String(load_default="by hand", validate=validate.Length(min=1, max=1000))
