"""Desks, and saved forms of deployments."""

from __future__ import annotations

from marshmallow import fields, validate

from .base import Instant, Mapping, Strict

SIGNS = ("failing", "late", "held", "running", "due", "fresh", "quiet")
#: Longest id of a resource.
RESOURCE_MAX = 1024


class SavedFormSchema(Strict):
    """Parameters of a deployment under a name."""

    name = fields.String(required=True)
    parameters = Mapping(required=True, metadata={"description": "Laid over the deployment's own."})
    created = Instant(required=True)


class SavedFormsSchema(Strict):
    """The saved forms of a deployment, by name."""

    items = fields.List(fields.Nested(SavedFormSchema), required=True)


class SavedFormInputSchema(Strict):
    """What a form keeps."""

    parameters = Mapping(required=True)


class DeskQuery(Strict):
    """How a desk is told."""

    timezone = fields.String(
        load_default="UTC", metadata={"description": "Zone of the times in sentences, such as `Europe/Berlin`."}
    )


class DeskInputSchema(Strict):
    """What is put on the desk: one of these."""

    resource = fields.String(
        load_default=None, validate=validate.Length(1, RESOURCE_MAX), metadata={"description": "By its id."}
    )
    deployment = fields.String(load_default=None, metadata={"description": "By id or `flow/name`."})
    expectation = fields.String(load_default=None, metadata={"description": "By id or name."})


class TellSchema(Strict):
    """Who is to tell."""

    block = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "A notifier, as `type/name`; null: nobody tells any more."},
    )


class DeskItemSchema(Strict):
    """One thing on a desk."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(("resource", "deployment", "expectation")))
    of = fields.String(required=True, metadata={"description": "Its id."})
    name = fields.String(required=True)
    sign = fields.String(required=True, validate=validate.OneOf(SIGNS))
    sentence = fields.String(required=True)
    told_by = fields.String(required=True, metadata={"description": "The notifier that tells you; empty: none does."})
    forms = fields.List(fields.String(), required=True, metadata={"description": "Saved forms of the deployment."})


class DeskSchema(Strict):
    """All that is on a desk, the worst first."""

    items = fields.List(fields.Nested(DeskItemSchema), required=True)
