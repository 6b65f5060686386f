"""``limits``."""

from __future__ import annotations

import time
import uuid
from datetime import timedelta
from typing import Any

from flask import Response

from ...clock import now
from .. import slot_waiters
from ..db.session import reading, retried, transaction
from ..schemas import limits as schemas
from ..services.configuring import limits, slots
from ..services.configuring.limits import LimitRow
from ..services.configuring.slots import Answer, Request
from . import holding
from .access import actor, needs, principal
from .resource import Resource, address, answer, answer_page, no_content

blueprint = Resource("limits", "Limits: how many may hold something at once, who does, and taking slots of them.")


@blueprint.route("/limits")
@needs("viewer", "agent", "run")
@blueprint.arguments(schemas.LimitQuery, location="query")
@blueprint.response(200, schemas.LimitPage)
def list_limits(query: dict[str, Any]) -> Response:
    """List limits with those that hold their slots, by name."""
    with reading() as session:
        found = limits.listing(session, **query, now=now())
    return answer_page(found, present)


@blueprint.route("/limits", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.LimitInputSchema)
@blueprint.response(201, schemas.LimitSchema)
def create_limit(body: dict[str, Any]) -> Response:
    """Make a limit that code takes slots of; 409 when there is one of that name."""
    with transaction() as session:
        made = limits.create(session, body.pop("name"), body.pop("slots"), actor(), now(), **body)
    return answer(present(made), 201)


@blueprint.route("/limits/<ref>")
@needs("viewer", "agent", "run")
@blueprint.response(200, schemas.LimitSchema)
def get_limit(ref: str) -> Response:
    """Get a limit by id or name."""
    with reading() as session:
        return answer(present(limits.get(session, address(ref), now())))


@blueprint.route("/limits/<ref>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.LimitChangeSchema)
@blueprint.response(200, schemas.LimitSchema)
def change_limit(body: dict[str, Any], ref: str) -> Response:
    """Change a limit; those that hold slots go on. 409 where a block declares it."""
    with transaction() as session:
        changed = limits.change(session, address(ref), body, actor(), now())
    slot_waiters.wake()
    return answer(present(changed))


@blueprint.route("/limits/<ref>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_limit(ref: str) -> Response:
    """Delete a limit; from then on it limits nothing."""
    with transaction() as session:
        limits.remove(session, address(ref), actor(), now())
    slot_waiters.wake()
    return no_content()


@blueprint.route("/limits/acquire", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.SlotRequestSchema)
@blueprint.response(200, schemas.SlotAnswerSchema)
def acquire(body: dict[str, Any]) -> Response:
    """Take slots of limits, of all or of none, or wait for them for `wait_s`: first come, first served. Asked again
    under the same id the request keeps its place.
    """
    wait_s = body.pop("wait_s")
    if (run_id := principal().run_id) is not None:
        body["root_run_id"] = run_id
        body["flow_run_id"] = body["flow_run_id"] or run_id
    request, deadline = Request(**body), time.monotonic() + wait_s
    found = _ask(request, wait_s)
    if not found.granted and wait_s:
        with holding.seat("wait for slots"):
            while not found.granted and (left := deadline - time.monotonic()) > 0:
                slot_waiters.wait(request.id, left)
                found = _ask(request, max(deadline - time.monotonic(), 0.0))
    shown = {"granted": found.granted, "limits": found.limits, "unlimited": found.unlimited, "spent": found.is_spent}
    return answer(shown)


@blueprint.route("/limits/renew", methods=["POST"])
@needs("editor", "agent", "run")
@blueprint.arguments(schemas.RenewalSchema)
@blueprint.response(200, schemas.RenewedSchema)
def renew(body: dict[str, Any]) -> Response:
    """Hold slots for longer; tells which requests hold nothing any more."""
    mine = principal().run_id
    lost = retried(lambda session: slots.renew(session, body["ids"], body["lease_s"], now(), mine))
    return answer({"lost": lost})


@blueprint.route("/limits/slots/<uuid:request_id>", methods=["DELETE"])
@needs("editor", "agent", "run")
@blueprint.response(204)
def release(request_id: uuid.UUID) -> Response:
    """Give back what a request holds, or its place among those who wait; done already is done."""
    mine = principal().run_id
    retried(lambda session: slots.release(session, request_id, now(), mine))
    slot_waiters.wake()
    return no_content()


def present(row: LimitRow) -> dict[str, Any]:
    """A limit as JSON."""
    shown = ("id", "name", "slots", "active", "slot_decay_per_second", "block_id", "created", "updated")
    facts = {name: getattr(row.limit, name) for name in shown}
    return {**facts, "taken": row.taken, "holders": row.holders, "waiting": row.waiting}


def _ask(request: Request, wait_s: float) -> Answer:
    return retried(lambda session: slots.ask(session, request, timedelta(seconds=wait_s), now()))
