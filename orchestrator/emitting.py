"""Events that code emits."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from . import context, tracking
from .clock import now, to_text
from .errors import InvalidInput
from .ids import uuid7


def emit_event(
    event: str,
    resource: str | Mapping[str, str],
    *,
    related: Iterable[str | Mapping[str, str]] = (),
    payload: Mapping[str, Any] | None = None,
    occurred: datetime | None = None,
    id: uuid.UUID | None = None,
    follows: uuid.UUID | None = None,
) -> uuid.UUID:
    """Say that something happened to a resource.

    It goes the way of all reports: in order, kept while the API is away. Inside a run, the run is added to what is
    related. Where no API is configured it goes nowhere.

    Args:
        event: What happened, such as ``table.loaded``.
        resource: What it happened to: an id, or labels with a ``resource.id`` among them.
        related: What else had a part in it, written alike; ``resource.role`` tells the part.
        payload: Facts, as JSON can hold them.
        occurred: When; aware. Now, when not given.
        id: The event's id, when it has one; two events of one id are one.
        follows: Id of the event that this one comes after.

    Returns:
        The event's id.

    Raises:
        InvalidInput: A field has a value that cannot be used.
    """
    if not isinstance(event, str) or not event.strip():
        raise InvalidInput(f"event is {event!r}: it has to be a name such as table.loaded")
    if occurred is not None and occurred.tzinfo is None:
        raise InvalidInput("occurred has no time zone: use datetime.now(timezone.utc) or another aware time")
    moment = occurred or now()
    identifier = id or uuid7(moment)
    document = {
        "id": str(identifier),
        "event": event,
        "occurred": to_text(moment),
        "resource": _labels(resource, "resource"),
        "related": [_labels(one, "related") for one in related] + _present(),
        "payload": dict(payload or {}),
        "follows": str(follows) if follows else None,
    }
    sink = tracking.present_sink()
    if sink is not None:
        sink.put({"kind": "event", "event": document})
    return identifier


def _labels(resource: str | Mapping[str, str], field: str) -> dict[str, str]:
    labels = {"resource.id": resource} if isinstance(resource, str) else dict(resource)
    if not labels.get("resource.id") or not isinstance(labels["resource.id"], str):
        raise InvalidInput(f"{field} lacks its resource.id: give an id, or labels with one")
    return {str(name): str(value) for name, value in labels.items()}


def _present() -> list[dict[str, str]]:
    run, task = context.owner(), context.task_run()
    found = []
    if run is not None:
        found.append(_run("flow-run", run.id, run.name))
    if task is not None:
        found.append(_run("task-run", task.id, task.name))
    return found


def _run(kind: str, identifier: str, name: str) -> dict[str, str]:
    return {"resource.id": f"orchestrator.{kind}.{identifier}", "resource.name": name, "resource.role": kind}
