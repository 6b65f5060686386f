"""Artifacts."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Json, PageQuery, Strict, page_of

TYPES = ("markdown", "table", "link", "progress", "image")


class ArtifactSchema(Strict):
    """An artifact."""

    id = fields.UUID(required=True)
    key = fields.String(required=True, allow_none=True)
    type = fields.String(required=True, validate=validate.OneOf(TYPES))
    description = fields.String(required=True)
    data = Json(
        required=True,
        allow_none=True,
        metadata={
            "description": "markdown: text; table: list of objects; link: `{url, text}`; image: `{url}`;"
            " progress: 0 to 100."
        },
    )
    flow_run_id = fields.UUID(required=True, allow_none=True)
    task_run_id = fields.UUID(required=True, allow_none=True)
    created = Instant(required=True)
    updated = Instant(required=True, allow_none=True, metadata={"description": "When it was told anew."})


class ArtifactQuery(PageQuery):
    """Which artifacts to list; newest first."""

    key = fields.String()
    type = fields.String(validate=validate.OneOf(TYPES))
    flow_run_id = fields.UUID()
    task_run_id = fields.UUID()
    latest = fields.Boolean(load_default=False, metadata={"description": "The newest of each key only."})


ArtifactPage = page_of(ArtifactSchema)
