"""Chains and their runs."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Json, Mapping, PageQuery, ReferenceSchema, Strict, page_of

STATUSES = ("waiting", "running", "done", "failed", "skipped")
_DOCUMENT = {"description": "See the page on chains."}


class ChainInputSchema(Strict):
    """The document of a chain; what it may hold is checked where documents are read, for all ways in alike."""

    name = Json(required=True, metadata={"type": "string"})
    description = Json(metadata={"type": "string"})
    steps = Json(required=True, metadata={"type": "object"})


class ChainSchema(Strict):
    """A chain."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    description = fields.String(required=True)
    version = fields.Integer(required=True)
    newest = fields.Integer(required=True, metadata={"description": "The newest version."})
    document = Mapping(required=True, metadata=_DOCUMENT)
    runs = fields.Integer(required=True, metadata={"description": "How many runs of it are kept."})
    created = Instant(required=True)
    updated = Instant(required=True)


class AppliedChainSchema(Strict):
    """What came of applying a document."""

    chain = fields.Nested(ChainSchema, required=True)
    change = fields.String(required=True, validate=validate.OneOf(("created", "updated", "unchanged")))


class ChainQuery(Strict):
    """Which version to show."""

    version = fields.Integer(load_default=None, validate=validate.Range(1))


class ChainListQuery(PageQuery):
    """A page of chains, or of runs of one."""


class ChainRunInputSchema(Strict):
    """How a chain is started."""

    parameters = Mapping(load_default=dict, metadata={"description": "Laid over those of the first steps."})


class ChainStepSchema(Strict):
    """Where a step of a run stands."""

    name = fields.String(required=True)
    deployment = fields.String(required=True)
    after = fields.List(fields.String(), required=True)
    any_of = fields.Boolean(required=True, metadata={"description": "Whether one of `after` will do."})
    ends = fields.List(fields.String(), required=True, metadata={"description": "How those have to end."})
    status = fields.String(required=True, validate=validate.OneOf(STATUSES))
    why = fields.String(required=True, metadata={"description": "For what it waits, or why it is skipped."})
    flow_run = fields.Nested(ReferenceSchema, required=True, allow_none=True)
    state = fields.String(required=True, allow_none=True, metadata={"description": "Name of the run's state."})
    started = Instant(required=True, allow_none=True)
    ended = Instant(required=True, allow_none=True)


class ChainRunSchema(Strict):
    """A run of a chain."""

    id = fields.UUID(required=True, metadata={"description": "The `chain_id` of all that follows from it."})
    chain = fields.String(required=True)
    version = fields.Integer(required=True)
    status = fields.String(required=True, validate=validate.OneOf(("running", "done", "failed")))
    parameters = Mapping(required=True)
    started = Instant(required=True)
    started_by = Json(required=True)
    steps = fields.List(fields.Nested(ChainStepSchema), required=True)


ChainPage = page_of(ChainSchema)
ChainRunPage = page_of(ChainRunSchema)
