"""Holds: the list, placing one, releasing one."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.acting import holds as service

from ..access import actor, needs
from ..fragments import done, page
from ..panels import holds

blueprint = Blueprint("holds", __name__, url_prefix="/holds")
_LOOKS: dict[str, Any] = {"kinds": holds.KINDS, "how": holds.how, "title_of": holds.title, "on_one": holds.on_one}


@blueprint.get("")
def show() -> Response:
    """Those in force; ``show=released``: those that were; ``on``: those on one resource."""
    released, on = request.args.get("show") == "released", request.args.get("on", "").strip()
    with reading() as session:
        loaded = holds.listing(session, released, on, request.args.get("cursor"), now())
    return page("holds", room="holds", page=loaded, **_LOOKS)


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The form; ``resource`` fills in what is to be held."""
    return _form({"resource": request.args.get("resource", "")}, {})


@blueprint.post("/preview")
@needs("editor")
def preview() -> Response:
    """What the form's hold would hold, and resources whose ids begin as what is typed."""
    with reading() as session:
        found = holds.preview(session, request.form, now())
        suggested = holds.suggestions(session, request.form.get("resource", "").strip())
    return make_response(render_template("parts/hold_preview.html", preview=found, suggested=suggested))


@blueprint.post("/new")
@needs("editor")
def place() -> AnyResponse:
    """Place it, or show the form again with what is wrong."""
    try:
        with transaction() as session:
            row = service.place(session, holds.read(request.form, now()), actor(), now())
    except InvalidInput as error:
        return _form(request.form.to_dict(), error.errors or {"": [str(error)]}, 422)
    except Conflict as error:
        return _form(request.form.to_dict(), {"": [str(error)]}, 409)
    number = len(row.deployments)
    return done(f"In force: it holds {number} deployment{'' if number == 1 else 's'}", url_for("web.holds.show"))


@blueprint.post("/<uuid:hold_id>/release")
@needs("editor")
def release(hold_id: uuid.UUID) -> AnyResponse:
    """Let go; what waited starts."""
    with transaction() as session:
        service.release(session, hold_id, actor(), now())
    return done("Released: what waited starts", url_for("web.holds.show"))


def _form(sent: dict[str, str], errors: dict[str, list[str]], status: int = 200) -> Response:
    shown = {"sent": sent, "errors": errors, "ends": holds.ENDS, "kinds": holds.KINDS}
    return make_response(render_template("pages/hold_form.html", room="holds", **shown), status)
