"""Deliveries to webhooks: judged, kept, made into events, and rendered anew while a template is written."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session, aliased

from ....clock import to_text
from ....errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable
from ....ids import uuid7, uuid7_floor, uuid7_from
from ...config import current
from ...db.models import Webhook, WebhookDelivery
from ...schemas.events import Refusal, read_event
from ...webhook_presets import PRESETS
from ..paging import Page, check_limit, decode_id, page
from ..recording import events
from ..recording.events import AHEAD_MAX, EventRecord
from ..statements import execute
from . import sns, webhook_signatures, webhook_templates, webhooks
from .incoming import Incoming, kept_headers, of_delivery, of_example, without_secrets
from .webhook_templates import TemplateFailed

#: How long deliveries are kept, how many of one webhook, and how many bytes of them.
KEPT, KEPT_COUNT, KEPT_BYTES = timedelta(days=7), 1000, 64 * 1024 * 1024
#: Deliveries that one step of the retention deletes.
FORGET_BATCH = 2000
OUTCOMES = ("accepted", "ignored", "confirmed", "failed", "refused")
#: Longest text of what a template wrote that an event tells.
_TOLD_MAX = 2000
_MARGIN = timedelta(days=1, hours=1)

_INSTANT = TypeAdapter(AwareDatetime)
_FORGET = """
DELETE FROM webhook_delivery WHERE id IN (
    SELECT id FROM (
        SELECT id, received, row_number() OVER newest AS place, sum(size) OVER newest AS bytes
        FROM webhook_delivery WINDOW newest AS (PARTITION BY webhook_id ORDER BY id DESC)) AS kept
    WHERE received < %(before)s OR place > %(count)s OR bytes > %(bytes)s
    LIMIT %(batch)s)"""


@dataclass(frozen=True)
class Judged:
    """What is to become of a delivery."""

    outcome: str
    #: HTTP status of the answer.
    status: int
    reason: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)
    #: What the template wrote, where it could not be read.
    rendered: str = ""


@dataclass(frozen=True)
class Trial:
    """What a template makes of a delivery, without anything being written."""

    #: As they would be written, ids aside.
    events: list[dict[str, Any]]
    #: Why it fails; empty when it does not.
    reason: str
    rendered: str
    #: The delivery that it was tried on; None: the preset's example.
    delivery_id: uuid.UUID | None


def judge(hook: Webhook, came: Incoming) -> Judged:
    """Check the signature and render the template. Takes its time, so no transaction is open meanwhile."""
    try:
        if hook.signature is not None:
            webhook_signatures.check(hook.signature, webhooks.secret_of(hook), came.headers, came.body)
        confirmed = _confirmed(hook, came)
        return confirmed or _rendered(hook, hook.template, came)
    except AccessDenied as error:
        return Judged("refused", 401, str(error))
    except TemplateFailed as error:
        return Judged("failed", 400, str(error), rendered=error.rendered)
    except InvalidInput as error:
        return Judged("failed", 400, str(error))
    except OrchestratorError as error:
        return Judged("failed", 503, str(error))


def keep(session: Session, hook: Webhook, came: Incoming, judged: Judged, now: datetime) -> WebhookDelivery:
    """Write a delivery with what became of it: its events, or an event that says why there are none.

    Raises:
        NotFound: The webhook was deleted meanwhile.
    """
    present = session.scalar(select(Webhook.id).where(Webhook.id == hook.id).with_for_update(key_share=True, read=True))
    if present is None:
        raise NotFound("there is no such address")
    judged = _written(session, judged, now)
    made = WebhookDelivery(
        id=uuid7(now),
        webhook_id=hook.id,
        received=came.received,
        method=came.method,
        content_type=came.content_type[:200].replace("\x00", ""),
        headers=kept_headers(hook, came.headers),
        query=without_secrets(came.query),
        body=came.body,
        size=len(came.body),
        outcome=judged.outcome,
        status=judged.status,
        reason=judged.reason.replace("\x00", ""),
        events=[event["id"] for event in judged.events],
    )
    session.add(made)
    session.flush()
    if judged.status >= 400:
        _tell(session, hook, judged, now, delivery=str(made.id))
    return made


def is_full(session: Session, hook: Webhook, now: datetime) -> bool:
    """Whether a webhook has had all that it takes in a minute."""
    since = uuid7_floor(now - timedelta(minutes=1))
    recent = select(WebhookDelivery.id).where(WebhookDelivery.webhook_id == hook.id, WebhookDelivery.id >= since)
    counted = session.scalar(select(func.count()).select_from(recent.limit(hook.minute_max).subquery()))
    return (counted or 0) >= hook.minute_max


def tell_full(session: Session, hook: Webhook, now: datetime) -> None:
    """Record, once a minute, that deliveries are turned away."""
    due = Webhook.limited.is_(None) | (Webhook.limited < now - timedelta(minutes=1))
    changed = session.execute(
        update(Webhook).where(Webhook.id == hook.id, due).values(limited=now).returning(Webhook.id)
    ).first()
    if changed is not None:
        reason = f"more than {hook.minute_max} deliveries in a minute: the rest is answered 429 and not kept"
        _tell(session, hook, Judged("refused", 429, reason), now)


def get(session: Session, webhook_id: uuid.UUID, delivery_id: uuid.UUID) -> WebhookDelivery:
    """One delivery of a webhook. Raises NotFound."""
    found = session.get(WebhookDelivery, delivery_id)
    if found is None or found.webhook_id != webhook_id:
        raise NotFound(f"there is no delivery {delivery_id}: they are kept for {KEPT.days} days")
    return found


def listing(
    session: Session,
    webhook_id: uuid.UUID,
    outcome: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[WebhookDelivery]:
    """A page of deliveries, newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    if outcome is not None:
        query = query.where(WebhookDelivery.outcome == outcome)
    if cursor:
        query = query.where(WebhookDelivery.id < decode_id(cursor))
    rows = session.scalars(query.order_by(WebhookDelivery.id.desc()).limit(check_limit(limit) + 1)).all()
    return page(rows, limit, lambda row: (row.id,))


def latest(session: Session, webhook_ids: list[uuid.UUID]) -> dict[uuid.UUID, WebhookDelivery]:
    """The newest delivery of each of these webhooks."""
    other = aliased(WebhookDelivery)
    newest = select(other.id).where(other.webhook_id == Webhook.id).order_by(other.id.desc()).limit(1)
    query = (
        select(WebhookDelivery)
        .join(Webhook, WebhookDelivery.id == newest.scalar_subquery())
        .where(Webhook.id.in_(webhook_ids))
    )
    return {row.webhook_id: row for row in session.scalars(query)}


def subject(
    session: Session, hook: Webhook, delivery_id: uuid.UUID | None, now: datetime
) -> tuple[Incoming, uuid.UUID | None]:
    """What a template is tried on: the delivery that is named, else the newest, else the preset's example.

    Raises:
        NotFound: The delivery is not kept any more.
    """
    if delivery_id is not None:
        return of_delivery(get(session, hook.id, delivery_id)), delivery_id
    newest = latest(session, [hook.id]).get(hook.id)
    if newest is not None:
        return of_delivery(newest), newest.id
    return of_example(PRESETS[hook.preset].example, now), None


def attempt(hook: Webhook, template: str, came: Incoming, now: datetime, delivery_id: uuid.UUID | None = None) -> Trial:
    """Render a template on a delivery and check the events, writing nothing.

    Raises:
        Unavailable: All processes that render are busy.
    """
    try:
        made = _rendered(hook, template, came)
        for index, event in enumerate(made.events):
            try:
                events.accept(read_event(event), now, "webhook")
            except Refusal as refusal:
                reason = f"event {index + 1}: {refusal}"
                return Trial([_shown(one) for one in made.events], reason, made.rendered, delivery_id)
        return Trial([_shown(event) for event in made.events], "", made.rendered, delivery_id)
    except Unavailable:
        raise
    except TemplateFailed as error:
        return Trial([], str(error), error.rendered, delivery_id)


def forget(session: Session, now: datetime, batch: int = FORGET_BATCH) -> int:
    """Delete some of the deliveries that are kept no longer; returns how many."""
    bounds = {"before": now - KEPT, "count": KEPT_COUNT, "bytes": KEPT_BYTES, "batch": batch}
    return execute(session, _FORGET, bounds)


def _confirmed(hook: Webhook, came: Incoming) -> Judged | None:
    address = sns.subscription(came.body) if hook.preset == "sns" else None
    if address is None:
        return None
    sns.confirm(address)
    return Judged("confirmed", 204, "the subscription is confirmed")


def _rendered(hook: Webhook, template: str, came: Incoming) -> Judged:
    rendered = webhook_templates.render(template, came.context(hook))
    made = [_complete(event, hook, came) for event in webhook_templates.read(rendered)]
    return Judged("accepted" if made else "ignored", 204, "", made, rendered)


def _complete(event: dict[str, Any], hook: Webhook, came: Incoming) -> dict[str, Any]:
    """An event with what a template need not say: id and time, the webhook, the chain."""
    made = {name: value for name, value in event.items() if value not in (None, "") or name in ("event", "resource")}
    related = made.get("related", [])
    if isinstance(related, list):
        more = [webhooks.about(hook, "webhook"), *filter(None, [came.chain()])]
        made["related"] = [*related, *more]
    occurred = _occurred(made.get("occurred"), came.received)
    made.setdefault("occurred", to_text(came.received))
    if "id" in made:
        made["id"] = _identified(str(made["id"]), occurred, hook)
    else:
        made["id"] = str(uuid7(came.received))
    return made


def _identified(given: str, occurred: datetime, hook: Webhook) -> str:
    """A UUIDv7 as it is; any other text gives the same id each time, so that a repeated delivery is one event."""
    with contextlib.suppress(ValueError):
        if uuid.UUID(given).version == 7:
            return given
    return str(uuid7_from(occurred, f"{hook.id}:{given}"))


def _occurred(told: Any, received: datetime) -> datetime:
    """When it happened, if events of that time are taken at all; else when it came."""
    try:
        at = _INSTANT.validate_python(told) if told is not None else received
    except ValidationError:
        return received
    return at if received - current().event_retention + _MARGIN < at < received + AHEAD_MAX else received


def _written(session: Session, judged: Judged, now: datetime) -> Judged:
    """Write the events, all of them or none."""
    if not judged.events:
        return judged
    point = session.begin_nested()
    taken = events.ingest(session, judged.events, now, "webhook")
    if not taken.refused:
        point.commit()
        return judged
    point.rollback()
    first = taken.refused[0]
    return Judged("failed", 400, f"event {first.index + 1}: {first.message}", rendered=judged.rendered)


def _shown(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "id"}


def _tell(session: Session, hook: Webhook, judged: Judged, now: datetime, **more: Any) -> None:
    payload = {"outcome": judged.outcome, "status": judged.status, "reason": judged.reason, **more}
    if judged.rendered:
        payload["rendered"] = judged.rendered[:_TOLD_MAX].replace("\x00", "")
    events.record(session, [EventRecord("webhook.failed", webhooks.about(hook), [], payload, occurred=now)], now)
