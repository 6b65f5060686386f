"""Backfills: the form that makes one of a deployment, and the page of one."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.deploying import backfills as service
from orchestrator.server.services.deploying import deployments

from ..access import actor, needs
from ..fragments import done, page
from ..panels import backfills

blueprint = Blueprint("backfills", __name__)
_OF_DEPLOYMENT = "/deployments/<uuid:deployment_id>/backfill"


@blueprint.get("/backfills/<uuid:backfill_id>")
def show(backfill_id: uuid.UUID) -> Response:
    """The page of one."""
    with reading() as session:
        loaded = backfills.load(session, backfill_id, request.args.get("cursor"))
    return page("backfill", room="deployments", page=loaded, item=loaded.row.backfill)


@blueprint.post("/backfills/<uuid:backfill_id>/cancel")
@needs("editor")
def cancel(backfill_id: uuid.UUID) -> AnyResponse:
    """Cancel it as a whole."""
    service.cancel_whole(backfill_id, actor(), now())
    return done("Cancelled: none of its runs begins any more", url_for("web.backfills.show", backfill_id=backfill_id))


@blueprint.get(_OF_DEPLOYMENT)
@needs("editor")
def form(deployment_id: uuid.UUID) -> Response:
    """The form."""
    return _form(deployment_id, {"schedule": request.args.get("schedule", "")}, {})


@blueprint.post(f"{_OF_DEPLOYMENT}/preview")
@needs("editor")
def preview(deployment_id: uuid.UUID) -> Response:
    """What the form's backfill would do."""
    with reading() as session:
        deployment = deployments.get(session, deployment_id)
        found = backfills.preview(session, deployment, request.form, now())
    return make_response(render_template("parts/backfill_preview.html", found=found, most=backfills.SLOTS))


@blueprint.post(_OF_DEPLOYMENT)
@needs("editor")
def create(deployment_id: uuid.UUID) -> AnyResponse:
    """Make it, or show the form again with what is wrong beside each field."""
    try:
        with transaction() as session:
            wanted = backfills.read(request.form)
            made = service.create(session, deployments.get(session, deployment_id), wanted, actor(), now())
    except InvalidInput as error:
        return _form(deployment_id, request.form.to_dict(), error.errors or {"": [str(error)]}, 422)
    except NotFound as error:
        return _form(deployment_id, request.form.to_dict(), {"schedule": [str(error)]}, 422)
    return done("Its runs begin", url_for("web.backfills.show", backfill_id=made.id), go=True)


def _form(deployment_id: uuid.UUID, sent: dict[str, Any], errors: dict[str, list[str]], status: int = 200) -> Response:
    with reading() as session:
        found = deployments.get(session, deployment_id)
        shown = {"deployment": found, "name": f"{found.flow.name}/{found.name}", "reprocess": backfills.REPROCESS}
        page = render_template("pages/backfill_form.html", room="deployments", sent=sent, errors=errors, **shown)
    return make_response(page, status)
