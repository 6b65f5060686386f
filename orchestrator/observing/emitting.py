"""Events that code emits."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from .. import context
from ..clock import now, to_text
from ..errors import InvalidInput
from ..ids import uuid7
from . import tracking

KINDS = ("action", "operation", "heartbeat", "relationship")
Relations: TypeAlias = "Mapping[str, str | Iterable[str]] | Iterable[Mapping[str, str]]"


def emit_event(
    event: str,
    resource: str | Mapping[str, str],
    *,
    related: Iterable[str | Mapping[str, str]] = (),
    payload: Mapping[str, Any] | None = None,
    occurred: datetime | None = None,
    id: uuid.UUID | None = None,
    follows: uuid.UUID | None = None,
    kind: str = "operation",
    relations: Relations = (),
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
        kind: ``action`` (somebody did something), ``operation`` (something worked), ``heartbeat`` (it is alive) or
            ``relationship`` (how resources are related).
        relations: What the resource is to others: role to id, or to several; or ``{source, target, role}`` each.

    Returns:
        The event's id.

    Raises:
        InvalidInput: A field has a value that cannot be used.
    """
    if not isinstance(event, str) or not event.strip():
        raise InvalidInput(f"event is {event!r}: it has to be a name such as table.loaded")
    if occurred is not None and occurred.tzinfo is None:
        raise InvalidInput("occurred has no time zone: use datetime.now(timezone.utc) or another aware time")
    if kind not in KINDS:
        raise InvalidInput(f"kind is {kind!r}: it has to be one of {', '.join(KINDS)}")
    moment = occurred or now()
    identifier = id or uuid7(moment)
    told = document(
        event,
        _labels(resource, "resource"),
        [_labels(one, "related") for one in related] + _present(),
        dict(payload or {}),
        kind=kind,
        relations=_related(relations),
        occurred=moment,
        id=identifier,
        follows=follows,
    )
    sink = tracking.present_sink()
    if sink is not None:
        sink.put({"kind": "event", "event": told})
    return identifier


def document(
    event: str,
    resource: str | dict[str, str],
    related: list[dict[str, str]],
    payload: dict[str, Any],
    *,
    kind: str = "operation",
    relations: list[dict[str, str]],
    occurred: datetime | None = None,
    id: uuid.UUID | None = None,
    follows: uuid.UUID | None = None,
) -> dict[str, Any]:
    """An event as it is sent, of values that are known to fit."""
    moment = occurred or now()
    return {
        "id": str(id or uuid7(moment)),
        "event": event,
        "occurred": to_text(moment),
        "resource": {"resource.id": resource} if isinstance(resource, str) else resource,
        "related": related,
        "payload": payload,
        "follows": str(follows) if follows else None,
        "kind": kind,
        "relations": relations,
    }


def _labels(resource: str | Mapping[str, str], field: str) -> dict[str, str]:
    labels = {"resource.id": resource} if isinstance(resource, str) else dict(resource)
    if not labels.get("resource.id") or not isinstance(labels["resource.id"], str):
        raise InvalidInput(f"{field} lacks its resource.id: give an id, or labels with one")
    return {str(name): str(value) for name, value in labels.items()}


def _related(relations: Relations) -> list[dict[str, str]]:
    if isinstance(relations, Mapping):
        pairs = [(role, [told] if isinstance(told, str) else told) for role, told in relations.items()]
        return [{"target": target, "role": role} for role, targets in pairs for target in targets]
    found = [dict(one) for one in relations]
    for one in found:
        if not one.get("target") or not one.get("role") or not {"source", "target", "role"}.issuperset(one):
            raise InvalidInput(f"relations has {one!r}: give target and role, and source where it is another resource")
    return found


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
