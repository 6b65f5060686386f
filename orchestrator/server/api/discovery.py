"""Discovery: how blocks are looked through, and what the looks themselves send."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import discovery as schemas
from ..schemas.errands import ErrandStartedSchema
from ..schemas.event_views import EventsTakenSchema
from ..services.mapping import discovery, resources
from ..services.mapping.discovery import Standing
from .access import actor, needs, principal
from .resource import Resource, address, answer

blueprint = Resource("discovery", "Discovery: how blocks are looked through for what their systems have.")


@blueprint.routes("/blocks/<ref>/discovery", "/blocks/<kind>/<name>/discovery")
@needs("viewer")
@blueprint.response(200, schemas.DiscoverySchema)
def get_discovery(**ref: str) -> Response:
    """How a block is looked through, and how it goes."""
    with reading() as session:
        return answer(present(discovery.get(session, address(**ref), now())))


@blueprint.routes("/blocks/<ref>/discovery", "/blocks/<kind>/<name>/discovery", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.DiscoveryChangeSchema)
@blueprint.response(200, schemas.DiscoverySchema)
def change_discovery(body: dict[str, Any], **ref: str) -> Response:
    """Turn discovery of a block on or off, or change its interval or queue."""
    with transaction() as session:
        return answer(present(discovery.change(session, address(**ref), body, actor(), now())))


@blueprint.routes("/blocks/<ref>/discover", "/blocks/<kind>/<name>/discover", methods=["POST"])
@needs("editor")
@blueprint.response(202, ErrandStartedSchema)
def discover_block(**ref: str) -> Response:
    """Have an agent look through a block now; while a look is under way, that one is answered."""
    with transaction() as session:
        run_id = discovery.look_now(session, address(**ref), actor(), now())
    return answer({"run": run_id}, 202)


# -- what a look sends: its run's token alone may


@blueprint.route("/blocks/<uuid:block_id>/discovery/look")
@needs("run")
@blueprint.response(200, schemas.LookSchema)
def begin_look(block_id: uuid.UUID) -> Response:
    """Where the last good look ended."""
    with reading() as session:
        cursor, is_first = discovery.cursor(session, block_id, principal().run_id)
    return answer({"cursor": cursor, "is_first": is_first})


@blueprint.route("/blocks/<uuid:block_id>/discovery/resources", methods=["POST"])
@needs("run")
@blueprint.arguments(schemas.SeenSchema)
@blueprint.response(200, schemas.SeenAnswerSchema)
def see_resources(body: dict[str, Any], block_id: uuid.UUID) -> Response:
    """Take in some of the resources that the look under way saw."""
    with transaction() as session:
        block, _ = discovery.under_way(session, block_id, principal().run_id)
        appeared = resources.see(session, block, body["resources"], now())
    return answer({"appeared": appeared})


@blueprint.route("/blocks/<uuid:block_id>/discovery/events", methods=["POST"])
@needs("run")
@blueprint.arguments(schemas.ObservationsSchema)
@blueprint.response(202, EventsTakenSchema)
def observe(body: dict[str, Any], block_id: uuid.UUID) -> Response:
    """Take in some of what happened since the last look."""
    with transaction() as session:
        block, row = discovery.under_way(session, block_id, principal().run_id)
        taken = discovery.observed(session, block, row, body["events"], now())
    return answer(asdict(taken), 202)


@blueprint.route("/blocks/<uuid:block_id>/discovery/look", methods=["PUT"])
@needs("run")
@blueprint.arguments(schemas.LookEndSchema)
@blueprint.response(200, schemas.LookEndAnswerSchema)
def end_look(body: dict[str, Any], block_id: uuid.UUID) -> Response:
    """End the look under way: keep its cursor, and let go of what it did not find."""
    with transaction() as session:
        block, row = discovery.under_way(session, block_id, principal().run_id)
        gone = discovery.finish(session, block, row, **body, now=now())
    return answer({"vanished": gone})


def present(found: Standing) -> dict[str, Any]:
    """How discovery of a block stands, as JSON."""
    shown = ("active", "interval_s", "next_due", "last_run", "last_ok", "failures", "error", "notice", "found")
    return {
        "block_id": found.block.id,
        **{name: getattr(found.row, name) for name in shown},
        "work_queue": found.work_queue,
        "run": found.row.flow_run_id,
        "waiting_reason": found.waiting_reason,
    }
