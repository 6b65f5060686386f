"""One deployment: what it is, its runs and schedules; starting a run from a form."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.deploying import deployment_documents, saved_forms, schedules
from orchestrator.server.services.deploying import deployments as service
from orchestrator.server.services.running import runs

from ..access import actor, needs
from ..fragments import done, page
from ..panels import deployments

blueprint = Blueprint("deployment", __name__, url_prefix="/deployments/<uuid:deployment_id>")


@blueprint.get("")
def show(deployment_id: uuid.UUID) -> Response:
    """The page."""
    with reading() as session:
        loaded = deployments.load(session, deployment_id, now())
    return page("deployment", room="deployments", page=loaded, deployment=loaded.deployment)


@blueprint.get("/deployment.yaml")
def download(deployment_id: uuid.UUID) -> Response:
    """The file that gives the same deployment when it is applied."""
    with reading() as session:
        deployment = service.get(session, deployment_id)
        text, name = deployment_documents.text(session, deployment), file_name(deployment.name)
    response = Response(text, mimetype="application/yaml")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def file_name(name: str) -> str:
    """What the file of a deployment is called: as ``orchestrator deployment build`` does."""
    return f"{re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'flow'}-deployment.yaml"


@blueprint.get("/run")
@needs("editor")
def form(deployment_id: uuid.UUID) -> Response:
    """The form that starts a run; ``form`` fills it with a saved one."""
    name = request.args.get("form", "")
    if not name:
        return _form(deployment_id, {}, {})
    with reading() as session:
        deployment = service.get(session, deployment_id)
        saved = saved_forms.get(session, deployment, name).parameters
        text = json.dumps({**deployment.parameters, **saved}, indent=2, ensure_ascii=False)
    return _form(deployment_id, {"parameters": text, "keep_as": name}, {})


@blueprint.post("/forms/<form>/delete")
@needs("editor")
def delete_form(deployment_id: uuid.UUID, form: str) -> AnyResponse:
    """Delete a saved form."""
    with transaction() as session:
        saved_forms.delete(session, service.get(session, deployment_id), form, actor(), now())
    return done(f"{form} is deleted", url_for("web.deployment.form", deployment_id=deployment_id), go=True)


@blueprint.post("/run")
@needs("editor")
def launch(deployment_id: uuid.UUID) -> AnyResponse:
    """Start the run, or show the form again with what is wrong beside each field."""
    sent = request.form.to_dict()
    try:
        wanted = deployments.read_launch(sent)
        with transaction() as session:
            deployment = service.get(session, deployment_id)
            if wanted.keep_as:
                saved_forms.put(session, deployment, wanted.keep_as, wanted.parameters, actor(), now())
            run_id, _ = runs.create(
                session,
                deployment,
                parameters=wanted.parameters,
                actor=actor(),
                now=now(),
                name=wanted.name,
                tags=wanted.tags,
                due=wanted.due,
            )
    except InvalidInput as error:
        return _form(deployment_id, sent, deployments.refusal(error), 422)
    return done("The run is on its way", url_for("web.run.show", run_id=run_id), go=True)


@blueprint.post("/quick")
@needs("editor")
def quick(deployment_id: uuid.UUID) -> AnyResponse:
    """Start a run with the deployment's own parameters; when these do not do, go to the form."""
    try:
        with transaction() as session:
            deployment = service.get(session, deployment_id)
            run_id, _ = runs.create(session, deployment, parameters={}, actor=actor(), now=now())
    except InvalidInput as error:
        return done(str(error), url_for("web.deployment.form", deployment_id=deployment_id), "warning", go=True)
    return done("The run is on its way", url_for("web.run.show", run_id=run_id), go=True)


@blueprint.post("/pause")
@needs("editor")
def pause(deployment_id: uuid.UUID) -> AnyResponse:
    """Stop the deployment's schedules from making runs, or let them go on."""
    with transaction() as session:
        paused = service.get(session, deployment_id).paused
        (service.resume if paused else service.pause)(session, deployment_id, actor(), now())
    text = "Resumed: its schedules make runs again" if paused else "Paused: its schedules make no runs"
    return done(text, url_for("web.deployment.show", deployment_id=deployment_id))


@blueprint.post("/schedules/<uuid:schedule_id>")
@needs("editor")
def schedule(deployment_id: uuid.UUID, schedule_id: uuid.UUID) -> AnyResponse:
    """Switch one schedule off or on."""
    with transaction() as session:
        present = schedules.get(session, schedule_id)
        if present.deployment_id != deployment_id:
            raise NotFound("this deployment has no such schedule")
        changed = schedules.change(session, schedule_id, {"active": not present.active}, actor(), now())
    text = f"The schedule {changed.slug} is {'on' if changed.active else 'off'}"
    return done(text, url_for("web.deployment.show", deployment_id=deployment_id))


def _form(deployment_id: uuid.UUID, sent: dict[str, Any], errors: dict[str, list[str]], status: int = 200) -> Response:
    with reading() as session:
        loaded = deployments.load(session, deployment_id, now())
    given = {"page": loaded, "deployment": loaded.deployment, "sent": sent, "errors": errors}
    return make_response(render_template("pages/launch.html", room="deployments", **given), status)
