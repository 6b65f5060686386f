"""Making and changing expectations in the browser: a form in plain words, or the very document as YAML."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput, NotFound
from orchestrator.server.db.models import Expectation
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.expecting import checking
from orchestrator.server.services.expecting import expectations as service

from ..access import actor, needs
from ..fragments import done
from ..panels import expectation_form as panel
from ..panels.expectation_fields import MOMENTS, STATES, WEEKDAYS

blueprint = Blueprint("expectation_form", __name__, url_prefix="/expectations")
_CHANGED = (
    "Somebody changed this expectation since you opened the form. It was not saved: look at it in another tab, then "
    "load this page again and repeat what you did."
)


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The form; ``document``, as JSON, fills it in."""
    return _page(panel.of(panel.begin(request.args)), None, {}, is_blank="document" not in request.args)


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Make it, or show the form again with what is wrong."""
    try:
        document = panel.finished(panel.sent(request.form))
        with transaction() as session:
            row = service.create(session, document, actor(), now())
    except (InvalidInput, Conflict, NotFound) as error:
        return _again(None, error)
    return done(f"{row.name} is expected", url_for("web.expectations.one", expectation_id=row.id))


@blueprint.get("/<uuid:expectation_id>/edit")
@needs("editor")
def edit(expectation_id: uuid.UUID) -> Response:
    """The form for what an expectation is. 409 for one of a deployment's."""
    row = _own(expectation_id)
    return _page(panel.of(row.document), row, {})


@blueprint.post("/<uuid:expectation_id>/edit")
@needs("editor")
def change(expectation_id: uuid.UUID) -> AnyResponse:
    """Save what it shall be, unless somebody changed it meanwhile."""
    row = _own(expectation_id)
    try:
        document = panel.finished(panel.sent(request.form))
        with transaction() as session:
            present = service.get(session, expectation_id)
            if panel.version(present.document) != request.form.get("version"):
                raise Conflict(_CHANGED)
            values = {**dict.fromkeys(present.document), **document}
            row = service.change(session, expectation_id, values, actor(), now())
    except (InvalidInput, Conflict) as error:
        return _again(row, error)
    return done(f"{row.name} is saved", url_for("web.expectations.one", expectation_id=expectation_id))


@blueprint.post("/form/check")
@needs("editor")
def check() -> Response:
    """What the form says as it stands, or what is wrong with it; nothing is saved."""
    form = panel.again(request.form)
    checked, errors = None, {}
    try:
        document = panel.sent(request.form)
        form.yaml = panel.written(document)
        if not document.get("name"):
            errors, document = panel.NAMELESS, {**document, "name": "?"}
        with reading() as session:
            checked = checking.look(session, panel.finished(document), now())
    except (InvalidInput, NotFound) as error:
        errors = {**errors, **panel.problems(error, form)}
    return make_response(render_template("parts/expectation_check.html", form=form, checked=checked, errors=errors))


@blueprint.post("/form/turn")
@needs("editor")
def turn() -> Response:
    """The form's fields after one of its buttons: as YAML, as a form, an action more or less."""
    errors: dict[str, list[str]] = {}
    try:
        form = panel.turned(request.form)
    except InvalidInput as error:
        form = panel.again(request.form)
        errors = panel.problems(error, form)
    with reading() as session:
        choices = panel.choices(session)
    added = request.form.get("add", "").partition(":")[0]
    return make_response(_rendered("parts/expectation_fields.html", form, errors, choices=choices, added=added))


def _own(expectation_id: uuid.UUID) -> Expectation:
    with reading() as session:
        row = service.get(session, expectation_id)
    if row.deployment_id is not None:
        raise Conflict("It belongs to a deployment: change that one's document and apply it.")
    return row


def _again(row: Expectation | None, error: InvalidInput | Conflict | NotFound) -> Response:
    form = panel.again(request.form)
    status = 422 if isinstance(error, InvalidInput) else 409
    return _page(form, row, panel.problems(error, form), status)


def _page(
    form: panel.Form, row: Expectation | None, errors: dict[str, list[str]], status: int = 200, is_blank: bool = False
) -> Response:
    with reading() as session:
        choices = panel.choices(session)
    version = request.form.get("version", "") or (panel.version(row.document) if row else "")
    given: dict[str, Any] = {"choices": choices, "row": row, "version": version, "room": "expectations"}
    given["is_blank"] = is_blank
    return make_response(_rendered("pages/expectation_form.html", form, errors, **given), status)


def _rendered(template: str, form: panel.Form, errors: dict[str, list[str]], **given: Any) -> str:
    words = {"moments": MOMENTS, "states": STATES, "weekdays": WEEKDAYS}
    return render_template(template, form=form, errors=errors, **words, **given)
