"""Making and changing deployments wholly in the browser. Agents look at the code, never this process; the page's script
sends the form, so that what was typed stays when it is refused.
"""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, OrchestratorError
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.deploying import deployments
from orchestrator.server.services.running import errands as service
from orchestrator.server.services.running import runs

from ..access import actor, needs
from ..fragments import data, done
from ..panels import deployment_form as panel
from ..panels import errands

blueprint = Blueprint("deployment_form", __name__, url_prefix="/deployments")


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The form for a new deployment."""
    with reading() as session:
        form = panel.new(session, now())
    return _page(form, "New deployment", url_for("web.deployment_form.create"))


@blueprint.get("/<uuid:deployment_id>/edit")
@needs("editor")
def edit(deployment_id: uuid.UUID) -> Response:
    """The form for what a deployment is."""
    with reading() as session:
        form = panel.of(session, deployment_id, now())
        name = f"{form.value['flow']}/{form.value['name']}"
    return _page(form, f"Edit {name}", url_for("web.deployment_form.change", deployment_id=deployment_id), editing=True)


@blueprint.get("/<uuid:deployment_id>/duplicate")
@needs("editor")
def duplicate(deployment_id: uuid.UUID) -> Response:
    """The form for another deployment like this one."""
    with reading() as session:
        form = panel.of(session, deployment_id, now(), copy=True)
        name = f"{form.value['flow']}/{form.source.name}" if form.source else ""
    return _page(form, f"Another {name}", url_for("web.deployment_form.create"))


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Save a new deployment; what does not fit comes back by field, and one that exists is left alone."""
    try:
        document = panel.read(request.form)
        with transaction() as session:
            applied = deployments.apply(session, document, actor(), now())
            made = applied.deployment.id
            if not applied.created:
                raise Conflict(
                    f"There is a deployment {document['flow']}/{document['name']} already: choose another name."
                )
    except Conflict as error:
        return _refused({"name": [str(error)]})
    except OrchestratorError as error:
        return _refused(panel.problems(error))
    address = url_for("web.deployment.show", deployment_id=made)
    return done(f"Saved {document['flow']}/{document['name']}", address, go=True)


@blueprint.post("/<uuid:deployment_id>/edit")
@needs("editor")
def change(deployment_id: uuid.UUID) -> AnyResponse:
    """Save what a deployment shall be, unless somebody changed it meanwhile."""
    try:
        document = panel.read(request.form)
        with transaction() as session:
            present = panel.check_unchanged(session, deployment_id, request.form.get("version", ""))
            document |= {"flow": present.flow.name, "name": present.name}
            deployments.apply(session, document, actor(), now())
    except Conflict as error:
        return _refused({"": [str(error)]}, 409)
    except OrchestratorError as error:
        return _refused(panel.problems(error))
    address = url_for("web.deployment.show", deployment_id=deployment_id)
    return done(f"Saved {document['flow']}/{document['name']}", address, go=True)


@blueprint.post("/form/<any(browse, inspect):verb>")
@needs("editor")
def look(verb: str) -> AnyResponse:
    """Send an agent to list a folder of a storage, or to tell the flows that are in it."""
    try:
        place = panel.read_place(request.form)
        with transaction() as session:
            run_id = service.start_for(
                session,
                verb,
                place.block_id,
                {"path": place.path},
                work_queue=place.work_queue,
                actor=actor(),
                now=now(),
            )
    except OrchestratorError as error:
        return _refused(panel.problems(error))
    return jsonify({"run": str(run_id)})


@blueprint.get("/form/errands/<uuid:run_id>")
@needs("editor")
def errand(run_id: uuid.UUID) -> Response:
    """How an agent that was sent stands, and what it found."""
    with reading() as session:
        found = errands.load(session, run_id, now())
    return data(
        {
            "done": found.is_done,
            "state": found.state_type,
            "title": found.title,
            "text": found.text,
            "value": found.value,
            "log": url_for("web.run.show", run_id=run_id),
        }
    )


@blueprint.post("/form/errands/<uuid:run_id>/stop")
@needs("editor")
def stop(run_id: uuid.UUID) -> AnyResponse:
    """Nobody waits for it any more."""
    with transaction() as session:
        if not service.result(session, run_id, now()).is_done:
            runs.cancel(session, run_id, actor(), now())
    return Response(status=204)


@blueprint.get("/form/preview")
@needs("editor")
def preview() -> Response:
    """When a schedule would fire."""
    with reading() as session:
        return data(panel.preview(session, request.args, now()))


def _page(form: panel.Form, heading: str, address: str, editing: bool = False) -> Response:
    given = {"form": form, "heading": heading, "address": address, "editing": editing}
    return make_response(render_template("pages/deployment_form.html", room="deployments", **given))


def _refused(errors: dict[str, list[str]], status: int = 422) -> Response:
    """What is wrong, by field, for the form's script."""
    return make_response(jsonify({"errors": errors}), status)
