"""``resources``, ``relations``, ``resource-rules`` and the map."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from flask import Response

from ...clock import now
from ...errors import InvalidInput
from ..db.models import Relation
from ..db.models import Resource as Found
from ..db.session import reading, transaction
from ..schemas import resources as schemas
from ..schemas.base import PageQuery
from ..services.mapping import eta, resource_edits, resource_rules, resources, stack_map
from ..services.mapping.resources import ResourceFilter
from ..services.mapping.stack_map import MapFilter
from ..services.recording import resource_states
from .access import actor, needs
from .etas import answer_eta
from .resource import Resource, answer, answer_page, no_content

blueprint = Resource("resources", "Resources: whatever moves in the stack, how it is, and what it is to what else.")


@blueprint.route("/resources")
@needs("viewer")
@blueprint.arguments(schemas.ResourceQuery, location="query")
@blueprint.response(200, schemas.ResourcePage)
def list_resources(query: dict[str, Any]) -> Response:
    """List resources, by id; with `as_of` those that were there then, as they were."""
    limit, cursor, labels = query.pop("limit"), query.pop("cursor"), _labels(query.pop("label"))
    as_of = query.get("as_of")
    with reading() as session:
        found = resources.listing(session, ResourceFilter(**query, labels=labels), limit, cursor)
        sources = {key: resources.source_label(session, key) for key in {row.source_block_id for row in found.items}}
        then = resources.states_at(session, [row.id for row in found.items], as_of) if as_of else None
    return answer_page(found, lambda row: present(row, sources[row.source_block_id], then))


@blueprint.route("/resources/<path:resource_id>")
@needs("viewer")
@blueprint.response(200, schemas.ResourceSchema)
def get_resource(resource_id: str) -> Response:
    """Get a resource."""
    with reading() as session:
        found = resources.get(session, resource_id)
        return answer(present(found, resources.source_label(session, found.source_block_id)))


@blueprint.route("/resources/<path:resource_id>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.ResourceChangeSchema)
@blueprint.response(200, schemas.ResourceSchema)
def change_resource(body: dict[str, Any], resource_id: str) -> Response:
    """Set a resource's owner, description or labels."""
    with transaction() as session:
        found = resource_edits.change(session, resource_id, body, actor=actor(), now=now())
        return answer(present(found, resources.source_label(session, found.source_block_id)))


@blueprint.route("/resources/<path:resource_id>/merge", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.MergeSchema)
@blueprint.response(200, schemas.ResourceSchema)
def merge_resource(body: dict[str, Any], resource_id: str) -> Response:
    """Say that a resource is another one by another name, from now on as well; gives the other one."""
    with transaction() as session:
        found = resource_edits.merge(session, resource_id, body["into"], actor=actor(), now=now())
        return answer(present(found, resources.source_label(session, found.source_block_id)))


@blueprint.route("/resources/<path:resource_id>/states")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.StateIntervalPage)
def list_states(query: dict[str, Any], resource_id: str) -> Response:
    """List the states of a resource, newest first."""
    with reading() as session:
        found = resource_states.intervals(session, resource_id, query["limit"], query["cursor"])
    return answer_page(found, lambda row: dict(row._mapping))


@blueprint.route("/resources/<path:resource_id>/eta")
@needs("viewer")
@blueprint.arguments(schemas.EtaQuery, location="query")
@blueprint.response(200, schemas.EtaSchema)
def get_eta(query: dict[str, Any], resource_id: str) -> Response:
    """Get when a resource will be fresh next or, of a deployment's, when its next run will be completed."""
    at = now()
    with reading() as session:
        return answer_eta(eta.of_resource(session, resource_id, at), query["timezone"], at)


@blueprint.route("/relations")
@needs("viewer")
@blueprint.arguments(schemas.RelationQuery, location="query")
@blueprint.response(200, schemas.RelationPage)
def list_relations(query: dict[str, Any]) -> Response:
    """List what a resource is to others, and they to it."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = resources.relations(session, query["resource"], limit, cursor, query.get("as_of"))
    return answer_page(found, present_relation)


@blueprint.route("/resource-rules")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.ResourceRulePage)
def list_rules(query: dict[str, Any]) -> Response:
    """List the rules about resources, by pattern."""
    with reading() as session:
        found = resource_rules.listing(session, query["limit"], query["cursor"])
    return answer_page(found, resource_rules.describe)


@blueprint.route("/resource-rules", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ResourceRuleInputSchema)
@blueprint.response(201, schemas.ResourceRuleSchema)
@blueprint.alt_response(200, schema=schemas.ResourceRuleSchema, success=True)
def save_rule(body: dict[str, Any]) -> Response:
    """Leave resources out, or merge them into one; what is there follows within seconds. 200: there was such a rule."""
    with transaction() as session:
        rule, is_new = resource_rules.save(session, body["pattern"], body["into"], actor=actor(), now=now())
        return answer(resource_rules.describe(rule), 201 if is_new else 200)


@blueprint.route("/resource-rules/<uuid:rule_id>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_rule(rule_id: uuid.UUID) -> Response:
    """Delete a rule; what it did stays done."""
    with transaction() as session:
        resource_rules.remove(session, rule_id, actor=actor(), now=now())
    return no_content()


@blueprint.route("/map")
@needs("viewer")
@blueprint.arguments(schemas.MapQuery, location="query")
@blueprint.response(200, schemas.MapSchema)
def get_map(query: dict[str, Any]) -> Response:
    """Get the map: all resources, or those near to one, and what they are to each other; now or as of a time."""
    wanted = MapFilter(query["kind"], query.get("focus"), query["hops"], query.get("as_of"))
    with reading() as session:
        return answer(stack_map.draw(session, wanted))


def present(row: Found, source: str | None, then: dict[str, tuple[str, datetime]] | None = None) -> dict[str, Any]:
    """A resource as JSON; ``then``: the states at the time that is asked for."""
    shown = (
        "id", "kind", "name", "own_labels", "owner", "description", "origin", "last_event", "last_event_at",
        "source_block_id", "first_seen", "last_seen", "changed", "vanished",
    )  # fmt: skip
    state, since = (row.state, row.state_since) if then is None else then.get(row.id, (None, None))
    facts = {name: getattr(row, name) for name in shown}
    labels = {**row.labels, **row.own_labels}
    return {**facts, "labels": labels, "state": state or "unknown", "state_since": since, "source": source}


def present_relation(row: Relation) -> dict[str, Any]:
    """A relation as JSON."""
    return {name: getattr(row, name) for name in ("source", "target", "role", "weight", "first_seen", "last_seen")}


def _labels(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name or not sign:
            raise InvalidInput(f"label: {text!r} is not NAME=VALUE", {"label": ["Must be NAME=VALUE."]})
        found[name] = value
    return found
