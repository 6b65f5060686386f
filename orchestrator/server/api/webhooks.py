"""``webhooks``, and their deliveries."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Response, request

from ...clock import now
from ..db.models import Webhook, WebhookDelivery
from ..db.session import reading, transaction
from ..schemas import webhooks as schemas
from ..schemas.base import PageQuery
from ..services.receiving import deliveries, webhooks
from ..services.receiving.incoming import decoded
from ..services.receiving.webhooks import WebhookFilter
from ..webhook_presets import PRESETS, Preset
from .access import actor, needs
from .resource import Resource, address, answer, answer_all, answer_page, check_match, no_content

blueprint = Resource("webhooks", "Webhooks: addresses at which other systems tell what happened.")


@blueprint.route("/webhooks")
@needs("viewer")
@blueprint.arguments(schemas.WebhookQuery, location="query")
@blueprint.response(200, schemas.WebhookPage)
def list_webhooks(query: dict[str, Any]) -> Response:
    """List webhooks, by name."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = webhooks.listing(session, WebhookFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/webhooks", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.WebhookInputSchema)
@blueprint.response(201, schemas.AddressedWebhookSchema)
def create_webhook(body: dict[str, Any]) -> Response:
    """Make a webhook; its address is in this answer and nowhere else."""
    _check(body)
    with transaction() as session:
        made, token = webhooks.create(session, body, actor(), now())
    return answer(_addressed(made, token), 201)


@blueprint.route("/webhooks/<ref>")
@needs("viewer")
@blueprint.response(200, schemas.WebhookSchema)
def get_webhook(ref: str) -> Response:
    """Get a webhook, by name or id."""
    with reading() as session:
        return answer(present(webhooks.get(session, address(ref))))


@blueprint.route("/webhooks/<ref>", methods=["PATCH"])
@needs("editor")
@blueprint.arguments(schemas.WebhookChangeSchema)
@blueprint.response(200, schemas.WebhookSchema)
def change_webhook(body: dict[str, Any], ref: str) -> Response:
    """Change a webhook; its address stays."""
    _check(body)
    with transaction() as session:
        check_match(lambda: present(webhooks.get(session, address(ref))))
        changed = webhooks.change(session, address(ref), body, actor(), now())
    return answer(present(changed))


@blueprint.route("/webhooks/<ref>", methods=["DELETE"])
@needs("editor")
@blueprint.response(204)
def delete_webhook(ref: str) -> Response:
    """Delete a webhook with its deliveries; the events that it made stay."""
    with transaction() as session:
        check_match(lambda: present(webhooks.get(session, address(ref))))
        webhooks.delete(session, address(ref), actor(), now())
    return no_content()


@blueprint.route("/webhooks/<ref>/rotate", methods=["POST"])
@needs("editor")
@blueprint.response(200, schemas.AddressedWebhookSchema)
def rotate_webhook(ref: str) -> Response:
    """Give a webhook a new address; the old one leads nowhere at once."""
    with transaction() as session:
        hook, token = webhooks.rotate(session, address(ref), actor(), now())
    return answer(_addressed(hook, token))


@blueprint.route("/webhooks/<ref>/deliveries")
@needs("viewer")
@blueprint.arguments(schemas.DeliveryQuery, location="query")
@blueprint.response(200, schemas.DeliveryPage)
def list_deliveries(query: dict[str, Any], ref: str) -> Response:
    """List the deliveries of a webhook that are kept, newest first."""
    with reading() as session:
        hook = webhooks.get(session, address(ref))
        found = deliveries.listing(session, hook.id, query["outcome"], query["limit"], query["cursor"])
    return answer_page(found, present_delivery)


@blueprint.route("/webhooks/<ref>/deliveries/<uuid:delivery_id>")
@needs("viewer")
@blueprint.response(200, schemas.WholeDeliverySchema)
def get_delivery(ref: str, delivery_id: uuid.UUID) -> Response:
    """Get a delivery with what came; headers that carry secrets are not kept."""
    with reading() as session:
        hook = webhooks.get(session, address(ref))
        found = deliveries.get(session, hook.id, delivery_id)
    whole = {"headers": found.headers, "query": found.query, "body": decoded(bytes(found.body), found.content_type)}
    return answer({**present_delivery(found), **whole})


@blueprint.route("/webhooks/<ref>/render", methods=["POST"])
@needs("editor")
@blueprint.arguments(schemas.RenderSchema)
@blueprint.response(200, schemas.TrialSchema)
def render_webhook(body: dict[str, Any], ref: str) -> Response:
    """Try a template on a delivery that is kept; nothing is written."""
    at = now()
    with reading() as session:
        hook = webhooks.get(session, address(ref))
        came, delivery_id = deliveries.subject(session, hook, body["delivery_id"], at)
    trial = deliveries.attempt(hook, body.get("template", hook.template), came, at, delivery_id)
    return answer(present_trial(trial))


@blueprint.route("/webhook-presets")
@needs("viewer")
@blueprint.arguments(PageQuery, location="query")
@blueprint.response(200, schemas.PresetPage)
def list_presets(query: dict[str, Any]) -> Response:
    """List what is known of systems that send deliveries."""
    return answer_all([_preset(preset) for preset in PRESETS.values()], query, "slug")


def present(hook: Webhook) -> dict[str, Any]:
    """A webhook as JSON."""
    shown = ("id", "name", "description", "active", "preset", "template", "signature", "minute_max")
    times = ("rotated", "created", "updated")
    return {name: getattr(hook, name) for name in (*shown, *times)} | {"address_end": hook.token_end}


def present_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    """A delivery as JSON, without what came."""
    shown = ("id", "received", "method", "content_type", "size", "outcome", "status", "reason", "events")
    return {name: getattr(delivery, name) for name in shown}


def present_trial(trial: deliveries.Trial) -> dict[str, Any]:
    """A trial as JSON."""
    return {name: getattr(trial, name) for name in ("events", "reason", "rendered", "delivery_id")}


def _addressed(hook: Webhook, token: str) -> dict[str, Any]:
    return {"webhook": present(hook), "url": webhooks.address(token, request.url_root)}


def _preset(preset: Preset) -> dict[str, Any]:
    shown = ("slug", "name", "description", "setup", "template", "signature")
    return {name: getattr(preset, name) for name in shown} | {"example": preset.example.body}


def _check(body: dict[str, Any]) -> None:
    if "template" in body:
        webhooks.check_template(body["template"])
