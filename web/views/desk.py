"""The desk: what the visitor watches."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, g, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.deploying import deployments, saved_forms
from orchestrator.server.services.running import runs
from orchestrator.server.services.watching import desk as service
from orchestrator.server.services.watching.desk import RESOURCE_MAX, Thing

from ..access import actor, needs
from ..fragments import done, page
from ..panels import desk

blueprint = Blueprint("desk", __name__, url_prefix="/desk")


@blueprint.get("")
def show() -> Response:
    """All that is on the visitor's desk."""
    with reading() as session:
        rows = desk.rows(session, _key(), now())
        choices = desk.choices(session)
    return page("desk", room="desk", rows=rows, choices=choices, looks=desk.LOOKS)


@blueprint.post("/add")
def add() -> AnyResponse:
    """Put a thing on it; ``back`` says that the page stays where it is."""
    given = {name: request.form.get(name, "").strip() or None for name in ("resource", "deployment", "expectation")}
    if len(given["resource"] or "") > RESOURCE_MAX:
        raise InvalidInput(f"resource: at most {RESOURCE_MAX} characters", {"resource": ["Too long."]})
    try:
        with transaction() as session:
            item, is_new = service.add(session, _key(), Thing(**given), now())
            name = service.row_of(session, item, now()).name
    except (InvalidInput, NotFound) as error:
        return done(str(error), url_for("web.desk.show"), "warning")
    return done(f"{name} is on your desk{'' if is_new else ' already'}", url_for("web.desk.show"))


@blueprint.post("/<uuid:item_id>/remove")
def remove(item_id: uuid.UUID) -> AnyResponse:
    """Take it off."""
    with transaction() as session:
        service.remove(session, _key(), item_id, actor(), now())
    return done("It is off your desk", url_for("web.desk.show"))


@blueprint.post("/<uuid:item_id>/tell")
@needs("editor")
def tell(item_id: uuid.UUID) -> AnyResponse:
    """Have a notifier tell, or nobody."""
    block = request.form.get("block") or None
    with transaction() as session:
        service.tell(session, _key(), item_id, block, actor(), now())
    return done(f"{block} tells you" if block else "Nobody tells you of it any more", url_for("web.desk.show"))


@blueprint.post("/run/<uuid:deployment_id>/<form>")
@needs("editor")
def run(deployment_id: uuid.UUID, form: str) -> AnyResponse:
    """Start a run with a saved form; where that does not do any more, go to the form."""
    try:
        with transaction() as session:
            deployment = deployments.get(session, deployment_id)
            parameters = saved_forms.get(session, deployment, form).parameters
            run_id, _ = runs.create(session, deployment, parameters=parameters, actor=actor(), now=now())
    except InvalidInput as error:
        address = url_for("web.deployment.form", deployment_id=deployment_id, form=form)
        return done(str(error), address, "warning", go=True)
    return done("The run is on its way", url_for("web.run.show", run_id=run_id), go=True)


def _key() -> uuid.UUID:
    found: uuid.UUID = g.visitor.key_id
    return found
