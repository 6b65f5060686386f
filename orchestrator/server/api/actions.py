"""``actions`` and ``action-kinds``."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from flask import Response

from ...clock import now
from ...errors import AccessDenied
from ..db.session import reading, transaction
from ..schemas import actions as schemas
from ..schemas.base import PageQuery
from ..services.acting import action_kinds, actions, trial_messages
from ..services.acting.action_kind import KNOWN
from ..services.acting.actions import ActionFilter, ActionRow
from .access import actor, needs, principal
from .resource import Resource, address, answer, answer_all, answer_page

blueprint = Resource("actions", "Actions: what firings asked for, and what became of each.")


@blueprint.route("/actions")
@needs("viewer")
@blueprint.arguments(schemas.ActionQuery, location="query")
@blueprint.response(200, schemas.ActionPage)
def list_actions(query: dict[str, Any]) -> Response:
    """List actions, newest first; `state=given-up`: those that were never done."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = actions.listing(session, ActionFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/actions/<uuid:action_id>")
@needs("viewer", "run")
@blueprint.response(200, schemas.ActionSchema)
def get_action(action_id: uuid.UUID) -> Response:
    """Get an action; a run may get the one that it was sent to do."""
    with reading() as session:
        found = actions.get(session, action_id)
    asking = principal().run_id
    if asking is not None and found.action.errand_id != asking:
        raise AccessDenied("a run may read the action that it was sent to do, and no other")
    return answer(present(found))


@blueprint.route("/actions/<uuid:action_id>/redo", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.ActionSchema)
def redo_action(action_id: uuid.UUID) -> Response:
    """Have an action that was given up done after all."""
    with transaction() as session:
        found = actions.redo(session, action_id, actor(), now())
        return answer(present(found))


@blueprint.routes("/blocks/<ref>/test-message", "/blocks/<kind>/<name>/test-message", methods=["POST"])
@needs("editor")
@blueprint.response(202, schemas.TrialMessageSchema)
def send_test_message(**ref: str) -> Response:
    """Send a real message by a notifier, the way actions do, to see whether it arrives; it is tried once."""
    with transaction() as session:
        action = trial_messages.send(session, address(**ref), actor(), now())
    return answer({"action": action}, 202)


@blueprint.route("/action-kinds")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.ActionKindsSchema)
def list_action_kinds(query: dict[str, Any]) -> Response:
    """List the kinds of action, with the fields of their documents."""
    items = [
        {
            "name": kind.name, "title": kind.title, "description": kind.description, "outgoing": kind.outgoing,
            "fields": [dataclasses.asdict(field) for field in kind.fields],
            "one_of": [list(names) for names in kind.one_of],
        }
        for kind in action_kinds.installed().values()
    ]  # fmt: skip
    return answer_all(items, query, "name", names=list(KNOWN))


def present(row: ActionRow) -> dict[str, Any]:
    """An action as JSON."""
    shown = (
        "id", "kind", "state", "firing_id", "moment", "position", "spec", "rendered", "target", "attempts", "next_try",
        "created", "ended", "result", "error",
    )  # fmt: skip
    firing = row.firing
    return {
        **{name: getattr(row.action, name) for name in shown},
        "trigger": {"id": firing.trigger_id, "name": row.trigger_name} if firing.trigger_id else None,
        "expectation": {"id": firing.expectation_id, "name": row.expectation_name} if firing.expectation_id else None,
    }
