"""Drawing a chain: a new one, or the next version of one. The page's script sends the document, so that what was drawn
stays when it is refused.
"""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.reacting import chains as service

from ..access import actor, needs
from ..fragments import data, done
from ..panels import chain_form as panel

blueprint = Blueprint("chain_form", __name__, url_prefix="/chains")


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """An empty canvas."""
    with reading() as session:
        form = panel.new(session)
    return _page(form, "New chain", url_for("web.chain_form.create"))


@blueprint.get("/<name>/edit")
@needs("editor")
def edit(name: str) -> Response:
    """A chain as it is, to be changed."""
    with reading() as session:
        form = panel.of(session, name)
    return _page(form, f"Edit {name}", url_for("web.chain_form.change", name=name))


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Save a new chain; one that exists is left alone."""
    return _save(0)


@blueprint.post("/<name>/edit")
@needs("editor")
def change(name: str) -> AnyResponse:
    """Save the next version, unless there is one already that the page did not know."""
    version = request.form.get("version", "")
    return _save(int(version) if version.isdecimal() else 0, name)


@blueprint.post("/form/check")
@needs("editor")
def check() -> Response:
    """What is wrong with a document so far, by field, and how it is written."""
    try:
        document = panel.read(request.form.get("document", ""))
    except InvalidInput as error:
        return _refused(error.errors)
    errors: dict[str, list[str]] = {}
    try:
        with reading() as session:
            service.check(session, panel.named(document))
    except InvalidInput as error:
        errors = error.errors
    return jsonify({"errors": errors, "yaml": panel.write_yaml(document)})


@blueprint.post("/form/read")
@needs("editor")
def read() -> Response:
    """The document that somebody wrote as YAML."""
    text = request.form.get("yaml", "")
    try:
        return jsonify({"document": panel.read_yaml(text)})
    except InvalidInput as error:
        return _refused(error.errors)


@blueprint.get("/form/parameters")
@needs("editor")
def parameters() -> Response:
    """The parameters that a step of a deployment may set."""
    with reading() as session:
        return data(panel.schema(session, request.args.get("deployment", "")))


def _save(upon: int, name: str | None = None) -> AnyResponse:
    try:
        document = panel.read(request.form.get("document", ""))
        if name is not None and (not isinstance(document, dict) or document.get("name") != name):
            return _refused({"name": [f"A chain keeps its name: this one is {name}."]})
        with transaction() as session:
            row, verb = service.apply(session, document, actor(), now(), upon=upon)
            saved, version = row.chain.name, row.chain.version
    except InvalidInput as error:
        return _refused(error.errors or {"": [str(error)]})
    except Conflict as error:
        if upon:
            return _refused({"": [f"{error}. Look at it in another tab, then load this page again."]}, 409)
        return _refused({"name": [f"{error}: choose another name."]}, 409)
    text = f"{saved} is as it was" if verb == "unchanged" else f"Saved {saved}, version {version}"
    return done(text, url_for("web.chains.one", name=saved), go=True)


def _page(form: panel.Form, heading: str, address: str) -> Response:
    return make_response(
        render_template("pages/chain_form.html", room="chains", form=form, heading=heading, address=address)
    )


def _refused(errors: dict[str, list[str]], status: int = 422) -> Response:
    """What is wrong, by field, for the page's script."""
    return make_response(jsonify({"errors": errors}), status)
