"""One webhook: its template, tried while it is written; its settings; what came to it."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from orchestrator.clock import now
from orchestrator.errors import Conflict, InvalidInput
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.receiving import webhooks as service
from orchestrator.server.services.receiving.webhook_signatures import SCHEMES
from orchestrator.server.webhook_presets import PRESETS

from ..access import actor, needs
from ..fragments import done, page
from ..panels import webhooks as panel

blueprint = Blueprint("webhook", __name__, url_prefix="/webhooks/<uuid:webhook_id>")

#: Where the address of a new or rotated webhook waits, in the visitor's own session, until it is shown once.
_FRESH = "webhook-address"


def remember(webhook_id: uuid.UUID, token: str) -> None:
    """Keep a new address until the webhook's page is next opened."""
    session[_FRESH] = [str(webhook_id), token]


@blueprint.get("")
def show(webhook_id: uuid.UUID) -> Response:
    """The page."""
    return _page(webhook_id)


@blueprint.post("/render")
@needs("editor")
def render(webhook_id: uuid.UUID) -> Response:
    """What the template in the editor makes of a delivery; nothing is written."""
    at = now()
    with reading() as database:
        hook, came = panel.attempt(database, webhook_id, request.form.get("delivery", ""), at)
    found = panel.tried(hook, request.form.get("template", ""), came, at)
    return make_response(render_template("parts/webhook_trial.html", tried=found))


@blueprint.post("/template")
@needs("editor")
def save(webhook_id: uuid.UUID) -> AnyResponse:
    """Keep the template of the editor."""
    template = request.form.get("template", "").replace("\r\n", "\n")
    try:
        service.check_template(template)
    except InvalidInput as error:
        return _page(webhook_id, {"template": template}, error.errors, 422)
    with transaction() as database:
        hook = service.change(database, webhook_id, {"template": template}, actor(), now())
    return done(f"The template of {hook.name} is saved", url_for("web.webhook.show", webhook_id=webhook_id))


@blueprint.post("/settings")
@needs("editor")
def settings(webhook_id: uuid.UUID) -> AnyResponse:
    """Change name, description, signature and limit."""
    try:
        changes = panel.read_settings(request.form)
        with transaction() as database:
            hook = service.change(database, webhook_id, changes, actor(), now())
    except InvalidInput as error:
        return _page(webhook_id, dict(request.form), error.errors, 422)
    except Conflict as error:
        return _page(webhook_id, dict(request.form), {"name": [f"{error}."]}, 409)
    return done(f"The settings of {hook.name} are saved", url_for("web.webhook.show", webhook_id=webhook_id))


@blueprint.post("/switch")
@needs("editor")
def switch(webhook_id: uuid.UUID) -> AnyResponse:
    """Take deliveries, or no more."""
    with transaction() as database:
        on = not service.get(database, webhook_id).active
        hook = service.change(database, webhook_id, {"active": on}, actor(), now())
    text = f"{hook.name} takes deliveries" if on else f"{hook.name} takes no deliveries: senders find nothing there"
    back = request.form.get("back") == "list"
    return done(text, url_for("web.webhooks.show") if back else url_for("web.webhook.show", webhook_id=webhook_id))


@blueprint.post("/rotate")
@needs("editor")
def rotate(webhook_id: uuid.UUID) -> AnyResponse:
    """Give it a new address, and show that."""
    with transaction() as database:
        hook, token = service.rotate(database, webhook_id, actor(), now())
    remember(hook.id, token)
    return done(f"{hook.name} has a new address", url_for("web.webhook.show", webhook_id=webhook_id), go=True)


@blueprint.post("/delete")
@needs("editor")
def delete(webhook_id: uuid.UUID) -> AnyResponse:
    """Delete it with its deliveries."""
    with transaction() as database:
        name = service.get(database, webhook_id).name
        service.delete(database, webhook_id, actor(), now())
    return done(f"Deleted {name}", url_for("web.webhooks.show"), go=True)


def _page(
    webhook_id: uuid.UUID,
    sent: dict[str, Any] | None = None,
    errors: dict[str, Any] | None = None,
    status: int = 200,
) -> Response:
    fresh = _fresh_address(webhook_id)
    placeholder = service.address("TOKEN", request.url_root)
    with reading() as database:
        loaded = panel.load(database, webhook_id, request.args.get("delivery", ""), fresh or placeholder)
    shown: dict[str, Any] = {"sent": sent or {}, "errors": errors or {}, "fresh": fresh, "schemes": SCHEMES}
    looks = {"presets": PRESETS, "icons": panel.ICONS, "outcomes": panel.OUTCOMES}
    answer = page("webhook", room="webhooks", page=loaded, hook=loaded.hook, **shown, **looks)
    if status != 200:
        answer.status_code = status
    return answer


def _fresh_address(webhook_id: uuid.UUID) -> str:
    """The address that was just made, taken out of the session; a script that polls leaves it there."""
    kept = session.get(_FRESH)
    if "HX-Request" in request.headers or not kept or kept[0] != str(webhook_id):
        return ""
    del session[_FRESH]
    return service.address(kept[1], request.url_root)
