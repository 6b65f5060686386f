"""Artifacts."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Json, PageQuery, Strict, page_of

TYPES = ("markdown", "table", "link")


class ArtifactSchema(Strict):
    """An artifact."""

    id = fields.UUID(required=True)
    key = fields.String(required=True, allow_none=True)
    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    description = fields.String(required=True)
    data = Json(
        required=True,
        allow_none=True,
        metadata={"description": "markdown: text; table: list of objects; link: `{url, text}`."},
    )
    flow_run_id = fields.UUID(required=True, allow_none=True)
    task_run_id = fields.UUID(required=True, allow_none=True)
    created = Instant(required=True)


class ArtifactQuery(PageQuery):
    """Which artifacts to list; newest first."""

    key = fields.String()
    type = fields.String(validate=validate.OneOf(TYPES))
    flow_run_id = fields.UUID()
    task_run_id = fields.UUID()


ArtifactPage = page_of(ArtifactSchema)
