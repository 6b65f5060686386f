"""Variables: the list; set, deleted."""

from __future__ import annotations

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.configuring import variables as service
from orchestrator.server.services.configuring.variables import VariableFilter

from ..access import actor, needs
from ..fragments import done, page
from ..panels import variables

blueprint = Blueprint("variables", __name__, url_prefix="/variables")


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q`` and ``tag``."""
    text, tag = request.args.get("q", "").strip(), request.args.get("tag", "").strip()
    with reading() as session:
        found = service.listing(session, VariableFilter(text or None, tag or None), 50, request.args.get("cursor"))
    return page("variables", room="variables", text=text, tag=tag, found=found, as_text=variables.as_text)


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The form of a new one."""
    return _form({}, {}, True)


@blueprint.get("/<name>/edit")
@needs("editor")
def edit(name: str) -> Response:
    """The form of one that is there."""
    with reading() as session:
        return _form(variables.form(service.get(session, name)), {}, False)


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Make it, or show the form again with what is wrong."""
    return _save(True)


@blueprint.post("/edit")
@needs("editor")
def change() -> AnyResponse:
    """Change it, likewise."""
    return _save(False)


@blueprint.post("/<name>/delete")
@needs("editor")
def delete(name: str) -> AnyResponse:
    """Delete it."""
    with transaction() as session:
        service.delete(session, name, actor(), now())
    return done(f"Deleted {name}", url_for("web.variables.show"))


def _save(is_new: bool) -> AnyResponse:
    try:
        name, value, tags = variables.read(request.form)
        with transaction() as session:
            if is_new:
                service.create(session, name, value, tags, actor(), now())
            else:
                service.put(session, name, value, tags, actor(), now())
    except InvalidInput as error:
        return _form(request.form.to_dict(), error.errors or {"": [str(error)]}, is_new, 422)
    except Conflict as error:
        return _form(request.form.to_dict(), {"name": [f"{str(error)[:1].upper()}{str(error)[1:]}."]}, is_new, 409)
    return redirect(url_for("web.variables.show"), 303)


def _form(sent: dict[str, str], errors: dict[str, list[str]], is_new: bool, status: int = 200) -> Response:
    shown = {"sent": sent, "errors": errors, "is_new": is_new}
    return make_response(render_template("pages/variable_form.html", room="variables", **shown), status)
