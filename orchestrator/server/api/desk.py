"""``desk``: what the holder of the key watches; and ``forms`` of deployments."""

from __future__ import annotations

import uuid
from datetime import tzinfo
from typing import Any

from flask import Response
from marshmallow import ValidationError

from ...clock import now
from ...errors import InvalidInput, NotFound, ScheduleError
from ...timing.schedules import zone_of
from ..db.models import SavedForm
from ..db.session import reading, transaction
from ..schemas import desk as schemas
from ..schemas.base import addressable
from ..schemas.flow_runs import FlowRunSchema
from ..services.deploying import deployments, saved_forms
from ..services.running import runs
from ..services.watching import desk, desk_words
from ..services.watching.desk import Thing
from ..services.watching.desk_words import DeskRow
from .access import actor, needs, principal
from .resource import Resource, address, answer, no_content

blueprint = Resource("desk", "Desks: what the holder of a key watches, in plain sentences; saved forms of deployments.")


@blueprint.route("/desk")
@needs("viewer")
@blueprint.arguments(schemas.DeskQuery, location="query")
@blueprint.response(200, schemas.DeskSchema)
def show_desk(query: dict[str, Any]) -> Response:
    """What is on the desk of the key that asks, the worst first."""
    zone = _zone(query["timezone"])
    with reading() as session:
        found = desk.listing(session, _key(), now())
    return answer({"items": [present(row, zone) for row in found]})


@blueprint.route("/desk", methods=["POST"])
@needs("viewer")
@blueprint.arguments(schemas.DeskInputSchema)
@blueprint.response(201, schemas.DeskItemSchema)
@blueprint.alt_response(200, schema=schemas.DeskItemSchema, success=True)
def put_on_desk(body: dict[str, Any]) -> Response:
    """Put a thing on the desk; 200 where it lies there already."""
    refs = {name: address(body[name]) if body[name] else None for name in ("deployment", "expectation")}
    with transaction() as session:
        item, is_new = desk.add(session, _key(), Thing(body["resource"], **refs), now())
        return answer(present(desk.row_of(session, item, now())), 201 if is_new else 200)


@blueprint.route("/desk/<uuid:item_id>", methods=["DELETE"])
@needs("viewer")
@blueprint.response(204)
def take_off_desk(item_id: uuid.UUID) -> Response:
    """Take a thing off the desk; nobody tells of it any more."""
    with transaction() as session:
        desk.remove(session, _key(), item_id, actor(), now())
    return no_content()


@blueprint.route("/desk/<uuid:item_id>/tell", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.TellSchema)
@blueprint.response(200, schemas.DeskItemSchema)
def tell_of_item(body: dict[str, Any], item_id: uuid.UUID) -> Response:
    """Have a notifier tell when it fails or is late: a trigger is made; null deletes it."""
    with transaction() as session:
        item = desk.tell(session, _key(), item_id, body["block"], actor(), now())
        return answer(present(desk.row_of(session, item, now())))


# -- saved forms


@blueprint.routes("/deployments/<ref>/forms", "/deployments/<kind>/<name>/forms")
@needs("viewer")
@blueprint.response(200, schemas.SavedFormsSchema)
def list_forms(**ref: str) -> Response:
    """List the saved forms of a deployment, by name."""
    with reading() as session:
        deployment = deployments.get(session, address(**ref))
        found = saved_forms.of(session, [deployment.id])[deployment.id]
    return answer({"items": [present_form(row) for row in found]})


@blueprint.routes("/deployments/<ref>/forms/<form>", "/deployments/<kind>/<name>/forms/<form>", methods=["PUT"])
@needs("editor")
@blueprint.arguments(schemas.SavedFormInputSchema)
@blueprint.response(200, schemas.SavedFormSchema)
@blueprint.alt_response(201, schema=schemas.SavedFormSchema, success=True)
def save_form(body: dict[str, Any], form: str, **ref: str) -> Response:
    """Keep parameters under a name (201 where it is new); they must be such that a run can start with them."""
    check_form_name(form)
    with transaction() as session:
        deployment = deployments.get(session, address(**ref))
        made, is_new = saved_forms.put(session, deployment, form, body["parameters"], actor(), now())
        return answer(present_form(made), 201 if is_new else 200)


@blueprint.routes("/deployments/<ref>/forms/<form>", "/deployments/<kind>/<name>/forms/<form>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_form(form: str, **ref: str) -> Response:
    """Delete a saved form."""
    with transaction() as session:
        saved_forms.delete(session, deployments.get(session, address(**ref)), form, actor(), now())
    return no_content()


@blueprint.routes(
    "/deployments/<ref>/forms/<form>/runs", "/deployments/<kind>/<name>/forms/<form>/runs", methods=["POST"]
)
@needs("editor")
@blueprint.response(201, FlowRunSchema)
def run_form(form: str, **ref: str) -> Response:
    """Start a run with a saved form."""
    with transaction() as session:
        deployment = deployments.for_run(session, address(**ref))
        parameters = saved_forms.get(session, deployment, form).parameters
        run_id, _ = runs.create(session, deployment, parameters=parameters, actor=actor(), now=now())
        return answer(runs.describe(runs.row(session, run_id)), 201)


def check_form_name(name: str) -> None:
    """Raise InvalidInput for a name that could not be addressed."""
    try:
        addressable(name)
        if len(name) > 100:
            raise ValidationError("Must be at most 100 characters long.")
    except ValidationError as error:
        raise InvalidInput(f"form: {error.messages[0]}", {"form": list(error.messages)}) from None


def present(row: DeskRow, zone: tzinfo | None = None) -> dict[str, Any]:
    """A thing on a desk as JSON."""
    item = row.item
    return {
        "id": item.id,
        "kind": row.kind,
        "of": item.resource_id or str(item.deployment_id or item.expectation_id),
        "name": row.name,
        "sign": row.sign,
        "sentence": f"{row.name}: {desk_words.plain(row.parts, now(), zone or zone_of('UTC'))}",
        "told_by": row.told_by,
        "forms": [form.name for form in row.forms],
    }


def present_form(row: SavedForm) -> dict[str, Any]:
    """A saved form as JSON."""
    return {"name": row.name, "parameters": row.parameters, "created": row.created}


def _key() -> uuid.UUID:
    found = principal().key_id
    if found is None:
        raise NotFound("only the holder of an API key has a desk")
    return found


def _zone(name: str) -> tzinfo:
    try:
        return zone_of(name)
    except ScheduleError:
        problem = f"{name!r} is no time zone: write one such as Europe/Berlin."
        raise InvalidInput(f"timezone: {problem}", {"timezone": [problem]}) from None
