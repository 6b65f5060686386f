"""Errands: ``blocks/.../test|browse|inspect``, and ``errands``."""

from __future__ import annotations

import time
import uuid
from typing import Any

from flask import Response

from ...clock import now
from ..db.session import reading, transaction
from ..schemas import errands as schemas
from ..services.running import errands
from ..services.running.errands import ErrandResult
from . import holding
from .access import actor, needs
from .resource import Resource, address, answer

#: Seconds between two looks while a request is held.
LOOK_S = 0.1

blueprint = Resource("errands", "Errands: what agents do with a block when somebody asks for it.")


@blueprint.routes("/blocks/<ref>/test", "/blocks/<kind>/<name>/test", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.ErrandInputSchema)
@blueprint.response(202, schemas.ErrandStartedSchema)
def test_block(body: dict[str, Any], **ref: str) -> Response:
    """Have an agent test a block."""
    return _start("test", ref, body.pop("work_queue"), body)


@blueprint.routes("/blocks/<ref>/browse", "/blocks/<kind>/<name>/browse", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.PathInputSchema)
@blueprint.response(202, schemas.ErrandStartedSchema)
def browse_block(body: dict[str, Any], **ref: str) -> Response:
    """Have an agent list the folders and files directly in a place of a storage."""
    return _start("browse", ref, body.pop("work_queue"), body)


@blueprint.routes("/blocks/<ref>/inspect", "/blocks/<kind>/<name>/inspect", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.InspectInputSchema)
@blueprint.response(202, schemas.ErrandStartedSchema)
def inspect_block(body: dict[str, Any], **ref: str) -> Response:
    """Have an agent fetch a folder, or a file with its folder, and tell the flows in it."""
    return _start("inspect", ref, body.pop("work_queue"), body)


@blueprint.route("/errands/<uuid:run_id>")
@needs("viewer")
@blueprint.arguments(schemas.ErrandQuery, location="query")
@blueprint.response(200, schemas.ErrandSchema)
def get_errand(query: dict[str, Any], run_id: uuid.UUID) -> Response:
    """How an errand stands, its result once it is done."""
    deadline = time.monotonic() + query["wait_s"]
    found = _look(run_id)
    # Where very many wait already, the answer is the present state: who asks may ask again.
    if not found.is_done and query["wait_s"] and holding.take(4):
        try:
            while not found.is_done and time.monotonic() < deadline:
                time.sleep(LOOK_S)
                found = _look(run_id)
        finally:
            holding.leave(4)
    return answer(present(found))


def present(found: ErrandResult) -> dict[str, Any]:
    """An errand as JSON."""
    return {
        "run": found.run,
        "verb": found.verb,
        "state": found.state_type,
        "message": found.message,
        "result": found.value,
        "waiting_reason": found.waiting_reason,
    }


def _start(verb: str, ref: dict[str, str], work_queue: str, parameters: dict[str, Any]) -> Response:
    with transaction() as session:
        run_id = errands.start_for(
            session, verb, address(**ref), parameters, work_queue=work_queue, actor=actor(), now=now()
        )
    return answer({"run": run_id}, 202)


def _look(run_id: uuid.UUID) -> ErrandResult:
    with reading() as session:
        return errands.result(session, run_id, now())
