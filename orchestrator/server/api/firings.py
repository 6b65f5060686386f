"""``firings``."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import triggers as schemas
from ..services.reacting import firings
from ..services.reacting.firings import FiringFilter, FiringRow
from .access import actor, needs
from .resource import Resource, answer, answer_page

blueprint = Resource("firings", "Firings: each time that a trigger or an expectation called for something.")


@blueprint.route("/firings")
@needs("viewer")
@blueprint.arguments(schemas.FiringQuery, location="query")
@blueprint.response(200, schemas.FiringPage)
def list_firings(query: dict[str, Any]) -> Response:
    """List firings, newest first; `state=open`: what they are for goes on."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = firings.listing(session, FiringFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/firings/<uuid:firing_id>")
@needs("viewer")
@blueprint.response(200, schemas.FiringSchema)
def get_firing(firing_id: uuid.UUID) -> Response:
    """Get a firing."""
    with reading() as session:
        return answer(present(firings.get(session, firing_id)))


@blueprint.route("/firings/<uuid:firing_id>/acknowledge", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.FiringSchema)
def acknowledge_firing(firing_id: uuid.UUID) -> Response:
    """Note that you look after it."""
    with transaction() as session:
        return answer(present(firings.acknowledge(session, firing_id, actor(), now())))


@blueprint.route("/firings/<uuid:firing_id>/resolve", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.FiringSchema)
def resolve_firing(firing_id: uuid.UUID) -> Response:
    """End an open firing by hand; what the trigger does then is done."""
    with transaction() as session:
        return answer(present(firings.resolve(session, firing_id, actor(), now())))


def present(row: FiringRow) -> dict[str, Any]:
    """A firing as JSON."""
    shown = (
        "id", "key", "occasion", "state", "suppressed", "fired", "occurred", "event_id", "reason", "context",
        "chain_id", "depth", "resolved", "acknowledged", "acknowledged_by",
    )  # fmt: skip
    found, trigger, expectation = row.firing, row.trigger, row.expectation
    return {
        **{name: getattr(found, name) for name in shown},
        "trigger": None if trigger is None else {"id": trigger.id, "name": trigger.name},
        "expectation": None if expectation is None else {"id": expectation.id, "name": expectation.name},
        "severity": row.severity,
    }
