"""Limits: the list with who holds slots; made, changed, deleted; slots taken back."""

from __future__ import annotations

import uuid

from flask import Blueprint, Response, make_response, render_template, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server import slot_waiters
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.configuring import limits as service
from orchestrator.server.services.configuring import slots

from ..access import actor, needs
from ..fragments import done, page
from ..panels import limits

blueprint = Blueprint("limits", __name__, url_prefix="/limits")


@blueprint.get("")
def show() -> Response:
    """The list, narrowed by ``q``."""
    text = request.args.get("q", "").strip()
    with reading() as session:
        found = service.listing(session, 50, request.args.get("cursor"), name=text or None, now=now())
    return page("limits", room="limits", text=text, found=found, how=limits.how)


@blueprint.get("/new")
@needs("editor")
def new() -> Response:
    """The form."""
    return _form({}, {})


@blueprint.post("/new")
@needs("editor")
def create() -> AnyResponse:
    """Make it."""
    try:
        wanted = limits.read(request.form)
        with transaction() as session:
            service.create(session, wanted.pop("name"), wanted.pop("slots"), actor(), now(), **wanted)
    except InvalidInput as error:
        return _form(request.form.to_dict(), error.errors or {"": [str(error)]}, 422)
    except Conflict as error:
        return _form(request.form.to_dict(), {"name": [f"{str(error)[:1].upper()}{str(error)[1:]}."]}, 409)
    return redirect(url_for("web.limits.show"), 303)


@blueprint.post("/<uuid:limit_id>/slots")
@needs("editor")
def resize(limit_id: uuid.UUID) -> AnyResponse:
    """Let more or fewer hold it."""
    number = limits.slots_of(request.form.get("slots", ""))
    with transaction() as session:
        row = service.change(session, limit_id, {"slots": number}, actor(), now())
    slot_waiters.wake()
    return done(f"{row.limit.name} has {number} slot{'' if number == 1 else 's'}", url_for("web.limits.show"))


@blueprint.post("/<uuid:limit_id>/active")
@needs("editor")
def switch(limit_id: uuid.UUID) -> AnyResponse:
    """Have it limit nothing, or limit again."""
    with transaction() as session:
        is_active = not service.get(session, limit_id, now()).limit.active
        row = service.change(session, limit_id, {"active": is_active}, actor(), now())
    slot_waiters.wake()
    return done(f"{row.limit.name} limits {'again' if is_active else 'nothing'}", url_for("web.limits.show"))


@blueprint.post("/<uuid:limit_id>/delete")
@needs("editor")
def delete(limit_id: uuid.UUID) -> AnyResponse:
    """Delete it."""
    with transaction() as session:
        name = service.get(session, limit_id, now()).limit.name
        service.remove(session, limit_id, actor(), now())
    slot_waiters.wake()
    return done(f"Deleted {name}", url_for("web.limits.show"))


@blueprint.post("/slots/<uuid:lease_id>/release")
@needs("editor")
def release(lease_id: uuid.UUID) -> AnyResponse:
    """Take slots back from who holds them."""
    with transaction() as session:
        slots.release(session, lease_id, now())
    slot_waiters.wake()
    return done("Taken back", url_for("web.limits.show"))


def _form(sent: dict[str, str], errors: dict[str, list[str]], status: int = 200) -> Response:
    shown = {"sent": sent, "errors": errors}
    return make_response(render_template("pages/limit_form.html", room="limits", **shown), status)
