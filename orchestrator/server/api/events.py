"""``events``."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from flask import Response, request

from ...clock import now
from ...errors import InvalidInput
from ..db.models import Event
from ..db.session import reading, transaction
from ..schemas import event_views as schemas
from ..schemas.events import is_harmless
from ..services.recording import event_histogram, events
from ..services.recording.events import EventFilter
from . import agreements, cloud_events, event_streams
from .access import needs
from .docs import described_body, ref
from .refusals import refusal
from .resource import Resource, answer, answer_page, json_body, without_options

#: Most events in one request.
EVENTS_MAX = 10_000

blueprint = Resource("events", "Events: what happened to which resource.")


@blueprint.route("/events")
@without_options
@needs("viewer")
@blueprint.arguments(schemas.EventQuery, location="query")
@blueprint.response(200, schemas.EventPage)
def list_events(query: dict[str, Any]) -> Response:
    """List events, newest first."""
    limit, cursor = query.pop("limit"), query.pop("cursor")
    with reading() as session:
        found = events.listing(session, EventFilter(**query), limit, cursor)
    return answer_page(found, present)


@blueprint.route("/events/histogram")
@needs("viewer")
@blueprint.arguments(schemas.HistogramQuery, location="query")
@blueprint.response(200, schemas.HistogramSchema)
def count_events(query: dict[str, Any]) -> Response:
    """Count events over time, by kind."""
    buckets, before = query.pop("buckets"), query.pop("before") or now()
    after = query.pop("after") or before - timedelta(hours=1)
    with reading() as session:
        return answer(asdict(event_histogram.count(session, EventFilter(after=after, before=before, **query), buckets)))


@blueprint.route("/events/stream")
@needs("viewer")
@blueprint.arguments(schemas.StreamQuery, location="query")
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream")
def stream_events(query: dict[str, Any]) -> Response:
    """Follow events as they are stored, as server-sent events."""
    since, after = query.pop("since"), query.pop("after")
    last = request.headers.get("Last-Event-ID", "").strip()
    return event_streams.stream(EventFilter(**query), since, last or after)


@blueprint.route("/events/<uuid:event_id>")
@needs("viewer")
@blueprint.response(200, schemas.EventSchema)
def get_event(event_id: uuid.UUID) -> Response:
    """Get an event."""
    with reading() as session:
        return answer(present(events.get(session, event_id)))


@blueprint.route("/events", methods=["OPTIONS"])
@needs("editor", "agent")
@blueprint.response(200)
def agree_to_events() -> Response:
    """Agree to deliveries of CloudEvents, from whoever has a key that may send them."""
    return agreements.agree(request, "GET, HEAD, OPTIONS, POST")


@blueprint.route("/events", methods=["POST"])
@without_options
@needs("editor", "agent")
@blueprint.response(202, schemas.EventsTakenSchema)
@blueprint.doc(**described_body({"oneOf": [ref("EventIn"), {"type": "array", "items": ref("EventIn")}]}))
def send_events() -> Response:
    """Take in one event or a list; each is checked by itself, those refused are named by their index.

    CloudEvents 1.0 are understood as well: structured, batched and (by `ce-` header fields) binary.
    """
    if cloud_events.is_meant(request):
        return cloud_events.take(request)
    body = json_body()
    items = body if isinstance(body, list) else [body]
    if body is None or len(items) > EVENTS_MAX:
        problem = f"Send an event, or a list of up to {EVENTS_MAX}."
        raise InvalidInput(problem, {"body": [problem]})
    with transaction() as session:
        taken = events.ingest(session, items, now(), is_harmless=is_harmless(request.get_data()))
    if taken.refused and not isinstance(body, list):
        raise refusal(taken.refused[0])
    return answer(asdict(taken), 202)


def present(event: Event) -> dict[str, Any]:
    """An event as JSON."""
    return {name: getattr(event, name) for name in schemas.EventSchema._declared_fields}
