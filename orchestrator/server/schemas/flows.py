"""Flows."""

from __future__ import annotations

from marshmallow import fields

from .base import Instant, PageQuery, Strict, page_of


class FlowQuery(PageQuery):
    """Which flows to list."""

    name = fields.String(metadata={"description": "Part of the name."})
    tag = fields.String()


class FlowSchema(Strict):
    """A flow."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    tags = fields.List(fields.String(), required=True)
    created = Instant(required=True)


FlowPage = page_of(FlowSchema)
