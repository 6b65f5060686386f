"""Webhooks: the list, and one with its template, what it is tried on, and what came to it."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.errors import InvalidInput, OrchestratorError
from orchestrator.server.db.models import Webhook, WebhookDelivery
from orchestrator.server.services.paging import Page
from orchestrator.server.services.receiving import deliveries, webhooks
from orchestrator.server.services.receiving.deliveries import Trial
from orchestrator.server.services.receiving.incoming import Incoming, of_example
from orchestrator.server.services.receiving.webhook_signatures import SCHEMES
from orchestrator.server.services.receiving.webhooks import WebhookFilter
from orchestrator.server.webhook_presets import PRESETS, Preset

#: Deliveries that a page lists, and that its template can be tried on.
DELIVERIES_MAX = 30
#: Icon of each preset.
ICONS = {
    "generic": "webhook",
    "github": "brand-github",
    "sns": "brand-aws",
    "dbt-cloud": "database-cog",
    "airflow": "route",
    "alertmanager": "bell-ringing",
    "great-expectations": "checklist",
    "soda": "salad",
    "monte-carlo": "activity",
}
#: Outcomes of deliveries: colour, icon, word.
OUTCOMES = {
    "accepted": ("completed", "circle-check", "Accepted"),
    "ignored": ("cancelled", "circle-minus", "Ignored"),
    "confirmed": ("completed", "plug-connected", "Confirmed"),
    "failed": ("failed", "circle-x", "Failed"),
    "refused": ("crashed", "ban", "Refused"),
}
#: What the list of things to try a template on calls the preset's example.
EXAMPLE = "example"


@dataclass(frozen=True)
class WebhooksPage:
    """One page of webhooks, each with its newest delivery."""

    rows: Page[Webhook]
    latest: dict[uuid.UUID, WebhookDelivery]
    presets: Mapping[str, Preset]


@dataclass(frozen=True)
class WebhookPage:
    """One webhook."""

    hook: Webhook
    preset: Preset
    deliveries: Page[WebhookDelivery]
    #: The delivery that the template is tried on first; ``example``: the preset's.
    chosen: str
    snippets: list[tuple[str, str]]


@dataclass(frozen=True)
class Tried:
    """What a template makes of what came."""

    trial: Trial | None
    came: dict[str, Any]
    reason: str


def listing(session: Session, wanted: WebhookFilter, cursor: str | None) -> WebhooksPage:
    """Read a page of the list."""
    rows = webhooks.listing(session, wanted, 50, cursor)
    return WebhooksPage(rows, deliveries.latest(session, [hook.id for hook in rows.items]), PRESETS)


def load(session: Session, webhook_id: uuid.UUID, delivery: str, url: str) -> WebhookPage:
    """Read one webhook.

    Args:
        delivery: Id of a delivery to try the template on; empty: the newest.
        url: Its address, where that is known; else a placeholder.
    """
    hook = webhooks.get(session, webhook_id)
    found = deliveries.listing(session, hook.id, limit=DELIVERIES_MAX)
    ids = [str(item.id) for item in found.items]
    chosen = delivery if delivery in (*ids, EXAMPLE) else ids[0] if ids else EXAMPLE
    preset = PRESETS[hook.preset]
    return WebhookPage(hook, preset, found, chosen, _snippets(hook, preset, url))


def attempt(session: Session, webhook_id: uuid.UUID, delivery: str, now: datetime) -> tuple[Webhook, Incoming]:
    """Find what a template is to be tried on. Raises NotFound when the delivery is kept no longer."""
    hook = webhooks.get(session, webhook_id)
    if delivery == EXAMPLE:
        return hook, of_example(PRESETS[hook.preset].example, now)
    try:
        identifier = uuid.UUID(delivery) if delivery else None
    except ValueError:
        raise InvalidInput("delivery: is no id of a delivery") from None
    return hook, deliveries.subject(session, hook, identifier, now)[0]


def tried(hook: Webhook, template: str, came: Incoming, now: datetime) -> Tried:
    """Render a template, and what it is rendered with; no session is held meanwhile."""
    context = came.context(hook)
    shown = {name: context[name] for name in ("method", "headers", "query", "body")}
    try:
        trial = deliveries.attempt(hook, template, came, now)
    except OrchestratorError as error:
        return Tried(None, shown, str(error))
    return Tried(trial, shown, trial.reason)


def read_new(form: Mapping[str, str]) -> dict[str, Any]:
    """What the form of a new webhook says."""
    said = {name: form.get(name, "").strip() for name in ("name", "description", "preset", "secret")}
    return {name: value for name, value in said.items() if value or name == "name"}


def read_settings(form: Mapping[str, str]) -> dict[str, Any]:
    """What the form of settings says; an empty secret is kept."""
    changes: dict[str, Any] = {"description": form.get("description", "").strip()}
    name, most = form.get("name", "").strip(), form.get("minute_max", "").strip()
    if not name or "/" in name or len(name) > 200:
        raise InvalidInput("name: 1 to 200 characters, no slash", {"name": ["Give it 1 to 200 characters, no slash."]})
    if not most.isdecimal() or not 0 < int(most) <= 100_000:
        raise InvalidInput("minute_max: a number from 1 to 100000", {"minute_max": ["A number from 1 to 100000."]})
    scheme = form.get("scheme", "")
    signature = {"scheme": scheme, "header": form.get("header", ""), "prefix": form.get("prefix", "").lstrip()}
    changes.update(name=name, minute_max=int(most), signature=signature if scheme in SCHEMES else None)
    if form.get("secret") and changes["signature"]:
        changes["secret"] = form["secret"]
    return changes


def _snippets(hook: Webhook, preset: Preset, url: str) -> list[tuple[str, str]]:
    body = preset.example.data().decode()
    words = ["curl", "-X", "POST", url, "-H", f"Content-Type: {preset.example.content_type}"]
    for name, value in preset.example.headers.items():
        words += ["-H", f"{name}: {value}"]
    name = shlex.quote(hook.name)
    return [
        ("Send the example", f"{shlex.join(words)} \\\n  -d {shlex.quote(body)}"),
        ("Command line", f"orchestrator webhook deliveries {name}\norchestrator webhook render {name} --template FILE"),
    ]
