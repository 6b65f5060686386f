"""What of ``POST events`` is CloudEvents: https://github.com/cloudevents/spec, HTTP binding 1.0."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from flask import Request, Response

from ...clock import now
from ...errors import InvalidInput
from .. import cloud_events
from ..db.session import transaction
from ..schemas.events import Refusal
from ..services.recording import foreign_events
from ..services.recording.events import RefusedEvent
from .errors import Refused
from .refusals import refusal
from .resource import answer, json_body

#: Most events in one batch.
BATCH_MAX = 10_000


def is_meant(request: Request) -> bool:
    """Whether a request carries CloudEvents, in whatever mode."""
    return cloud_events.is_structured(request.content_type or "") or cloud_events.is_binary(dict(request.headers))


def take(request: Request) -> Response:
    """Take in what the request carries; one event alone that is refused is 422, in a batch it is named by its index."""
    kind = cloud_events.media_type(request.content_type or "")
    if not cloud_events.is_structured(kind):
        return _take([_binary(request)], alone=True)
    if kind not in (cloud_events.SINGLE, cloud_events.BATCH):
        raise Refused(415, f"CloudEvents are read as {cloud_events.SINGLE} or {cloud_events.BATCH}; this is {kind}")
    body = json_body(request)
    if kind == cloud_events.SINGLE:
        return _take([body], alone=True)
    if not isinstance(body, list) or len(body) > BATCH_MAX:
        problem = f"A batch is a list of up to {BATCH_MAX} CloudEvents."
        raise InvalidInput(problem, {"body": [problem]})
    return _take(body, alone=False)


def _binary(request: Request) -> dict[str, Any]:
    try:
        return cloud_events.from_headers(request.headers, request.content_type or "", request.get_data())
    except Refusal as problem:
        raise refusal(RefusedEvent(0, problem.code, str(problem))) from None


def _take(items: list[Any], alone: bool) -> Response:
    def mapping(raw: Any, at: datetime) -> list[dict[str, Any]]:
        return [cloud_events.as_event(raw, at)]

    with transaction() as session:
        taken = foreign_events.ingest(session, items, mapping, now(), "key")
    if alone and taken.refused:
        raise refusal(taken.refused[0])
    return answer(asdict(taken), 202)
