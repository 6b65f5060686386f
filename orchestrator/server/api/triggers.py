"""``triggers``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from flask import Response

from ... import triggers as rules
from ...clock import now
from ...errors import InvalidInput
from ..db.session import reading, transaction
from ..schemas import triggers as schemas
from ..schemas.base import PageQuery
from ..services.reacting import backtest, trigger_explaining, trigger_keys, triggers
from ..services.reacting.triggers import TriggerFilter, TriggerRow
from .access import actor, needs
from .resource import Resource, address, answer, answer_page, check_match, no_content

blueprint = Resource("triggers", "Triggers: what to wait for among events, and what to do then; by id or name.")

_ONE = ("/triggers/<ref>", "/triggers/<flow>/<deployment>/<name>")


@blueprint.route("/triggers")
@needs("viewer")
@blueprint.arguments(schemas.TriggerQuery, location="query")
@blueprint.response(200, schemas.TriggerPage)
def list_triggers(query: dict[str, Any]) -> Response:
    """List triggers, by name."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = triggers.listing(session, TriggerFilter(**query), now(), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/triggers", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.TriggerInputSchema)
@blueprint.response(201, schemas.TriggerSchema)
def create_trigger(body: dict[str, Any]) -> Response:
    """Make a trigger; 409 when there is one of that name."""
    at = now()
    with transaction() as session:
        made = triggers.create(session, body, actor(), at)
        return answer(present(triggers.row(session, made.id, at)), 201)


@blueprint.route("/triggers", methods=["PUT"])
@needs("editor")
@blueprint.arguments(schemas.TriggerInputSchema)
@blueprint.response(200, schemas.TriggerSchema)
@blueprint.alt_response(201, schema=schemas.TriggerSchema, success=True)
def put_trigger(body: dict[str, Any]) -> Response:
    """Make the trigger of that name be like this; it is made (201) when it is missing."""
    at = now()
    with transaction() as session:
        found, is_new = triggers.put(session, body, actor(), at)
        return answer(present(triggers.row(session, found.id, at)), 201 if is_new else 200)


@blueprint.routes(*_ONE)
@needs("viewer")
@blueprint.response(200, schemas.TriggerSchema)
def get_trigger(**ref: str) -> Response:
    """Get a trigger."""
    with reading() as session:
        return answer(present(triggers.row(session, _address(**ref), now())))


@blueprint.routes(*_ONE, methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.TriggerChangeSchema)
@blueprint.response(200, schemas.TriggerSchema)
def change_trigger(body: dict[str, Any], **ref: str) -> Response:
    """Replace parts of a trigger; it begins anew when it is switched on, or `when` is another."""
    at = now()
    with transaction() as session:
        check_match(lambda: present(triggers.row(session, _address(**ref), at)))
        changed = triggers.change(session, _address(**ref), body, actor(), at)
        return answer(present(triggers.row(session, changed.id, at)))


@blueprint.routes(*_ONE, methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_trigger(**ref: str) -> Response:
    """Delete a trigger and its firings."""
    with transaction() as session:
        triggers.delete_(session, _address(**ref), actor(), now())
    return no_content()


@blueprint.route("/triggers/<ref>/mute", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.TriggerMuteSchema)
@blueprint.response(200, schemas.TriggerSchema)
def mute_trigger(body: dict[str, Any], ref: str) -> Response:
    """Have a trigger do nothing until a time; its firings are noted."""
    at = now()
    with transaction() as session:
        found = triggers.mute(session, address(ref), body["until"], actor(), at)
        return answer(present(triggers.row(session, found.id, at)))


@blueprint.route("/triggers/<ref>/keys")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.KeyPage)
def list_keys(query: dict[str, Any], ref: str) -> Response:
    """List what a trigger remembers, for each key that it is evaluated for: what has come, what it waits for."""
    with reading() as session:
        found = trigger_keys.listing(session, address(ref), query["limit"], query["cursor"])
    return answer_page(found, asdict)


@blueprint.route("/triggers/check", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.TriggerDocumentSchema)
@blueprint.response(200, schemas.TriggerCheckedSchema)
def check_trigger(body: dict[str, Any]) -> Response:
    """Say in plain English what a document says, or what is wrong with it; nothing is stored."""
    try:
        with reading() as session:
            triggers.check(session, body["document"])
    except InvalidInput as error:
        return answer({"sentence": None, "errors": error.errors or {"": [str(error)]}})
    return answer({"sentence": rules.sentence(body["document"]), "errors": {}})


@blueprint.route("/triggers/test", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.TriggerTestSchema)
@blueprint.response(200, schemas.ReplaySchema)
def test_trigger(body: dict[str, Any]) -> Response:
    """Replay history: when would the document's trigger have fired? Nothing is stored or done."""
    with reading() as session:
        return answer(asdict(backtest.run(session, body["document"], body["since"], now())))


@blueprint.route("/triggers/<ref>/explain", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.ExplainInputSchema)
@blueprint.response(200, schemas.ExplanationSchema)
def explain_trigger(body: dict[str, Any], ref: str) -> Response:
    """Say whether an event counts for a trigger, and what decides it."""
    with reading() as session:
        return answer(asdict(trigger_explaining.explain(session, address(ref), body["event_id"])))


def present(row: TriggerRow) -> dict[str, Any]:
    """A trigger as JSON."""
    found = row.trigger
    document = triggers.document(found)
    shown = ("id", "muted_until", "since", "created", "updated")
    owner = None if found.deployment_id is None else {"id": found.deployment_id, "name": row.deployment or ""}
    return {
        **document,
        **{name: getattr(found, name) for name in shown},
        "sentence": rules.sentence(document),
        "standing": row.standing,
        "deployment": owner,
    }


def _address(
    ref: str | None = None, flow: str | None = None, deployment: str | None = None, name: str | None = None
) -> Any:
    return address(ref) if ref is not None else f"{flow}/{deployment}/{name}"
