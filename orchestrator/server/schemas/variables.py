"""Variables."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Json, PageQuery, Strict, Tags, page_of

#: As templates write it: ``{{ variables.name }}``.
NAME = validate.Regexp(
    r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}\Z",
    error="Must be up to 255 letters, digits, '_' and '-', no '-' first.",
)
_VALUE = {"description": "Any JSON value, of at most 5000 characters."}


class VariableInputSchema(Strict):
    """A variable to be made."""

    name = fields.String(required=True, validate=NAME)
    value = Json(required=True, allow_none=True, metadata=_VALUE)
    tags = Tags(load_default=list)


class VariableChangeSchema(Strict):
    """What a variable shall be."""

    value = Json(required=True, allow_none=True, metadata=_VALUE)
    tags = Tags(load_default=None, allow_none=True, metadata={"description": "Left out: they stay."})


class VariableSchema(Strict):
    """A variable."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    value = Json(required=True, allow_none=True)
    tags = fields.List(fields.String(), required=True)
    created = Instant(required=True)
    updated = Instant(required=True)


class VariableQuery(PageQuery):
    """Which variables to list, by name."""

    name = fields.String(metadata={"description": "Part of the name."})
    tag = fields.String()


VariablePage = page_of(VariableSchema)
