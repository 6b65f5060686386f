"""Webhooks: the list, and making one."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.receiving import webhooks as service
from orchestrator.server.services.receiving.webhooks import WebhookFilter
from orchestrator.server.webhook_presets import PRESETS

from ..access import actor, needs
from ..fragments import page
from ..panels import webhooks
from . import webhook

blueprint = Blueprint("webhooks", __name__)


@blueprint.get("/webhooks")
def show() -> Response:
    """The list, narrowed by ``q`` and ``preset``."""
    text, preset = (request.args.get(name, "").strip() for name in ("q", "preset"))
    with reading() as session:
        wanted = WebhookFilter(name=text or None, preset=preset or None)
        loaded = webhooks.listing(session, wanted, request.args.get("cursor"))
    looks = {"icons": webhooks.ICONS, "outcomes": webhooks.OUTCOMES}
    return page("webhooks", room="webhooks", page=loaded, text=text, preset=preset, **looks)


@blueprint.get("/webhooks/new")
@needs("editor")
def new() -> Response:
    """The form."""
    return _form({"preset": request.args.get("preset", "generic")}, {})


@blueprint.post("/webhooks/new")
@needs("editor")
def create() -> AnyResponse:
    """Make it, and show its address."""
    wanted = webhooks.read_new(request.form)
    try:
        if not wanted["name"] or "/" in wanted["name"] or len(wanted["name"]) > 200:
            raise InvalidInput("name", {"name": ["Give it a name of 1 to 200 characters, without a slash."]})
        with transaction() as session:
            made, token = service.create(session, wanted, actor(), now())
    except InvalidInput as error:
        return _form(wanted, error.errors or {"": [str(error)]}, 422)
    except Conflict as error:
        return _form(wanted, {"name": [f"{error}."]}, 409)
    webhook.remember(made.id, token)
    return redirect(url_for("web.webhook.show", webhook_id=made.id), 303)


def _form(sent: dict[str, Any], errors: dict[str, Any], status: int = 200) -> Response:
    shown = {"sent": sent, "errors": errors, "presets": PRESETS, "icons": webhooks.ICONS}
    return make_response(render_template("pages/webhook_form.html", room="webhooks", **shown), status)
