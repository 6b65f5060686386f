"""Resources, relations, rules about them, and the map."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from .base import ActorSchema, Instant, Mapping, PageQuery, Prose, Strict, page_of
from .discovery import identifier

_AS_OF = "What there was at this time, and as it was."


def _label(value: str | None) -> None:
    if value is not None and len(value) > 1000:
        raise ValidationError("Must have at most 1000 characters.")


class ResourceSchema(Strict):
    """Something that moves in the stack."""

    id = fields.String(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    labels = Mapping(required=True, metadata={"description": "As looks and events tell them, and those set by hand."})
    own_labels = Mapping(required=True, metadata={"description": "Those set by hand."})
    owner = fields.String(required=True, allow_none=True)
    description = fields.String(required=True)
    origin = fields.String(
        required=True,
        metadata={"description": "`look`: a block was looked through; `event`; `declared` by a deployment; `own`."},
    )
    state = fields.String(required=True, metadata={"description": "`unknown` where nothing told."})
    state_since = Instant(required=True, allow_none=True)
    last_event = fields.String(required=True, allow_none=True)
    last_event_at = Instant(required=True, allow_none=True)
    source = fields.String(
        required=True, allow_none=True, metadata={"description": "The block that saw it last, as `type/name`."}
    )
    source_block_id = fields.UUID(required=True, allow_none=True)
    first_seen = Instant(required=True)
    last_seen = Instant(required=True)
    changed = Instant(required=True)
    vanished = Instant(required=True, allow_none=True)


class ResourceQuery(PageQuery):
    """Which resources to list; by id."""

    kind = fields.String(metadata={"description": "A kind, or a beginning: `s3.*`."})
    name = fields.String(metadata={"description": "Part of the name."})
    source = fields.String(metadata={"description": "The block that found them: an id, or `type/name`."})
    vanished = fields.Boolean(
        load_default=False, metadata={"description": "Those that vanished, in place of those that are there."}
    )
    state = fields.String(metadata={"description": "Such as `failing`; `unknown`: nothing told."})
    owner = fields.String()
    label = fields.List(fields.String(), load_default=list, metadata={"description": "`NAME=VALUE`; all have to fit."})
    as_of = Instant(metadata={"description": _AS_OF})


class ResourceChangeSchema(Strict):
    """What to change of a resource; what is left out stays."""

    owner = fields.String(allow_none=True, validate=validate.Length(max=200))
    description = Prose()
    labels = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 200)),
        values=fields.String(allow_none=True, validate=_label),
        validate=validate.Length(max=100),
        metadata={"description": "Laid over those that it has; null takes one away that was set by hand."},
    )


class MergeSchema(Strict):
    """What a resource is in truth."""

    into = fields.String(required=True, validate=identifier, metadata={"description": "Id of the other resource."})


class EtaQuery(Strict):
    """How the sentence tells times."""

    timezone = fields.String(load_default="UTC", metadata={"description": "IANA name of the sentence's time zone."})


class EtaLegSchema(Strict):
    """A deployment, job or resource on the way, and when it will be done, or was."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    at = Instant(required=True)


class EtaSchema(Strict):
    """When something will be fresh, or done; with no times, `why_not` says why."""

    expected = Instant(required=True, allow_none=True, metadata={"description": "In half of the times by then."})
    early = Instant(
        required=True, allow_none=True, metadata={"description": "If all takes as little as one in ten times."}
    )
    late = Instant(
        required=True, allow_none=True, metadata={"description": "If all takes as long as one in ten times."}
    )
    usual = Instant(required=True, allow_none=True, metadata={"description": "When it would be had all gone as usual."})
    late_s = fields.Integer(required=True, metadata={"description": "Seconds after that; 0: it is about on time."})
    because = fields.String(required=True, metadata={"description": "What makes it late; empty: nothing by itself."})
    samples = fields.Integer(required=True, metadata={"description": "How often the length seen least was seen."})
    failed = fields.List(
        fields.String(), required=True, metadata={"description": "What on the way was not completed the last time."}
    )
    legs = fields.List(fields.Nested(EtaLegSchema), required=True, metadata={"description": "The way that decides."})
    why_not = fields.String(required=True, metadata={"description": "Why it cannot be told; empty: it can."})
    sentence = fields.String(required=True)


class StateIntervalSchema(Strict):
    """From when until when a resource was in a state; `until` null: it still is."""

    state = fields.String(required=True)
    since = Instant(required=True)
    until = Instant(required=True, allow_none=True)
    cause = fields.String(required=True, metadata={"description": "What told: the name of an event, or a line."})
    event_id = fields.UUID(required=True, allow_none=True)


class RelationSchema(Strict):
    """What one resource is to another."""

    source = fields.String(required=True)
    target = fields.String(required=True)
    role = fields.String(required=True)
    weight = fields.Integer(
        required=True, metadata={"description": "In how many minutes events told it, and how many looks saw it."}
    )
    first_seen = Instant(required=True)
    last_seen = Instant(required=True)


class RelationQuery(PageQuery):
    """Whose relations to list."""

    resource = fields.String(required=True, metadata={"description": "Id of the resource, source or target."})
    as_of = Instant(metadata={"description": "Those that were told until this time."})


class ResourceRuleSchema(Strict):
    """What is done with resources whose id is like a pattern."""

    id = fields.UUID(required=True)
    pattern = fields.String(required=True)
    action = fields.String(required=True, metadata={"description": "`ignore` or `merge`."})
    into = fields.String(required=True, allow_none=True)
    created = Instant(required=True)
    updated = Instant(required=True)
    created_by = fields.Nested(ActorSchema, required=True)


class ResourceRuleInputSchema(Strict):
    """A rule; without `into` such resources are left out."""

    pattern = fields.String(
        required=True, validate=identifier, metadata={"description": "An id, in which `*` stands for anything."}
    )
    into = fields.String(load_default=None, allow_none=True, validate=identifier)


class MapQuery(Strict):
    """What the map shows."""

    kind = fields.List(fields.String(), load_default=list, metadata={"description": "Kinds, or beginnings: `s3.*`."})
    focus = fields.String(metadata={"description": "Id of a resource: only what is near to it."})
    hops = fields.Integer(load_default=2, metadata={"description": "How near: relations away from the focus."})
    as_of = Instant(metadata={"description": _AS_OF})


class MapNodeSchema(Strict):
    """A resource on the map."""

    id = fields.String(required=True)
    kind = fields.String(required=True)
    name = fields.String(required=True)
    owner = fields.String(required=True, allow_none=True)
    state = fields.String(required=True)
    since = Instant(required=True, allow_none=True)


class MapEdgeSchema(Strict):
    """What one is to another: told by events and looks, declared, or how things of our own hang together."""

    source = fields.String(required=True)
    target = fields.String(required=True)
    role = fields.String(required=True)
    weight = fields.Integer(required=True)
    last_seen = Instant(required=True, allow_none=True)


class MapClusterSchema(Strict):
    """The resources of one kind."""

    kind = fields.String(required=True)
    count = fields.Integer(required=True)
    states = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)


class MapSchema(Strict):
    """The map of the stack."""

    nodes = fields.List(fields.Nested(MapNodeSchema), required=True)
    edges = fields.List(fields.Nested(MapEdgeSchema), required=True)
    clusters = fields.List(fields.Nested(MapClusterSchema), required=True)
    total = fields.Integer(required=True, metadata={"description": "Resources that fit; at most 5,000 are shown."})
    as_of = Instant(required=True, allow_none=True)


ResourcePage = page_of(ResourceSchema)
StateIntervalPage = page_of(StateIntervalSchema)
RelationPage = page_of(RelationSchema)
ResourceRulePage = page_of(ResourceRuleSchema)
