"""The forms that make and change blocks. Their scripts send them, so that what was typed stays when it is refused,
and no secret ever comes back in a page.
"""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, jsonify, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, OrchestratorError
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.configuring import block_usage, blocks

from ..access import actor, needs
from ..fragments import data, done
from ..panels import block as panel

blueprint = Blueprint("block_form", __name__)


@blueprint.get("/blocks/new/<slug>")
@needs("editor")
def new(slug: str) -> Response:
    """The form for a new block of a type."""
    with reading() as session:
        form = panel.form_of_type(session, slug)
    return make_response(render_template("pages/block_form.html", room="blocks", form=form, block=None))


@blueprint.get("/blocks/new/<slug>/form")
@needs("editor")
def part(slug: str) -> Response:
    """What a dialog needs to show the same form inside another one."""
    with reading() as session:
        form = panel.form_of_type(session, slug)
    return data({"slug": slug, "name": form.kind.name, "description": form.kind.description, "schema": form.schema})


@blueprint.post("/blocks/new/<slug>")
@needs("editor")
def create(slug: str) -> AnyResponse:
    """Save a new block; what does not fit comes back by field."""
    try:
        wanted = panel.read_form(request.form, slug, named=True)
        with transaction() as session:
            made = blocks.create(session, slug, wanted.data, name=wanted.name, actor=actor(), now=now())
            label = blocks.label(made)
    except Conflict as error:
        return _refused({panel.NAME: [f"{panel.problems(error)[''][0]}: choose another name."]})
    except OrchestratorError as error:
        return _refused(panel.problems(error))
    if request.form.get("inside"):
        return jsonify({"id": str(made.id), "label": label})
    return done(f"Saved {label}", url_for("web.block.show", block_id=made.id), go=True)


@blueprint.get("/blocks/<uuid:block_id>/edit")
@needs("editor")
def edit(block_id: uuid.UUID) -> Response:
    """The form for the values of a block."""
    with reading() as session:
        block = blocks.get(session, block_id)
        given = {"form": panel.form_of_block(session, block), "usage": block_usage.usage(session, block_id, now())}
        label = blocks.label(block)
    return make_response(render_template("pages/block_form.html", room="blocks", block=block, label=label, **given))


@blueprint.post("/blocks/<uuid:block_id>/edit")
@needs("editor")
def change(block_id: uuid.UUID) -> AnyResponse:
    """Save new values; masked secrets are kept."""
    try:
        with transaction() as session:
            present = blocks.get(session, block_id)
            wanted = panel.read_form(request.form, present.block_type.slug, named=False)
            panel.check_unchanged(present, wanted)
            changed = blocks.update(session, block_id, wanted.data, actor=actor(), now=now())
            label = blocks.label(changed)
    except OrchestratorError as error:
        return _refused(panel.problems(error), 409 if isinstance(error, Conflict) else 422)
    return done(f"Saved {label}", url_for("web.block.show", block_id=block_id), go=True)


@blueprint.post("/blocks/<uuid:block_id>/rotate")
@needs("editor")
def rotate(block_id: uuid.UUID) -> AnyResponse:
    """Give a block new secrets; nothing else of it is touched."""
    try:
        with transaction() as session:
            changed = blocks.rotate(session, block_id, panel.read_secrets(request.form), actor(), now())
            label = blocks.label(changed)
    except OrchestratorError as error:
        return _refused(panel.problems(error))
    return done(f"Rotated the secrets of {label}", url_for("web.block.show", block_id=block_id), go=True)


def _refused(errors: dict[str, list[str]], status: int = 422) -> Response:
    """What is wrong, by field, for the form's script."""
    return make_response(jsonify({"errors": errors}), status)
