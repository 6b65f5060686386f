"""What templates of actions know, as plain data; only what a template names is looked up.

Nothing here holds a secret: of blocks there is no word, and parameters of runs are as everybody with a key sees them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from ....clock import to_text
from ....settings import Settings
from ...config import current
from ...db.models import Action, Agent, Deployment, Event, Firing, Flow, FlowRun, Resource, Trigger, WorkQueue
from . import chain_steps
from .action_kind import first_of
from .notification_texts import base_url

_EVENT = ("id", "event", "occurred", "received", "resource", "related", "payload", "follows")
#: Columns that templates see of our own things.
_SHOWN: dict[type[Any], tuple[str, ...]] = {
    FlowRun: (
        "id", "name", "state_type", "state_name", "state_message", "attempt", "parameters", "tags", "due", "started",
        "ended", "created",
    ),
    Deployment: ("id", "name", "description", "version", "tags", "paused", "parameters"),
    Flow: ("id", "name"),
    WorkQueue: ("id", "name", "description", "paused", "concurrency_limit"),
    Agent: ("id", "name", "hostname"),
    Trigger: ("id", "name", "description", "severity", "owner"),
    Firing: ("id", "key", "occasion", "state", "fired", "occurred", "reason", "depth", "chain_id", "resolved"),
}  # fmt: skip
_PAGES: dict[type[Any], str] = {FlowRun: "runs", Deployment: "deployments", Trigger: "triggers"}


@dataclass
class Known:
    """Looks up what templates may name, for one action."""

    session: Session
    action: Action
    firing: Firing
    trigger: Trigger | None
    now: datetime

    def named(self, names: set[str]) -> dict[str, Any]:
        """The values of some of :data:`.action_kind.KNOWN`."""
        ways: dict[str, Callable[[], Any]] = {
            "action": lambda: {"id": str(self.action.id), "kind": self.action.kind, "moment": self.action.moment},
            "agent": lambda: self._found(Agent, self.ours("agent")),
            "chain": lambda: chain_steps.chain_shown(self.session, self.firing.chain_id),
            "context": lambda: self.firing.context,
            "deployment": self._deployment,
            "event": lambda: self.event,
            "expectation": lambda: self.firing.context.get("expectation"),
            "firing": lambda: _shown(self.firing),
            "flow": self._flow,
            "flow_run": lambda: self._found(FlowRun, self.ours("flow-run")),
            "key": lambda: self.firing.context.get("key", self.firing.key),
            "labels": lambda: self.labels,
            "now": lambda: to_text(self.now),
            "resource": self._resource,
            "steps": lambda: {
                name: {**_shown(run), "result": (run.result or {}).get("value")}
                for name, run in chain_steps.runs_of(self.session, self.firing.chain_id).items()
            },
            "trigger": lambda: None if self.trigger is None else _shown(self.trigger),
            "work_queue": lambda: self._found(WorkQueue, self.ours("work-queue")),
        }
        return {name: ways[name]() for name in sorted(names)}

    @cached_property
    def event(self) -> dict[str, Any] | None:
        """The event that made it fire; None for an absence."""
        told = self.firing.context.get("event")
        if not (isinstance(told, Mapping) and told.get("whole")) and self.firing.event_id is not None:
            row = self.session.scalar(select(Event).where(Event.id == self.firing.event_id))
            if row is not None:  # with all of its payload
                told = {name: getattr(row, name) for name in _EVENT}
        if not isinstance(told, Mapping):
            return None
        event = {name: _plain(value) for name, value in told.items() if name != "whole"}
        event["resource"] = spread(event.get("resource") or {})
        event["related"] = [spread(labels) for labels in event.get("related") or []]
        event["name"] = event.get("event")
        return event

    @cached_property
    def labels(self) -> dict[str, Any]:
        """The labels that the firing goes by: of the event's resource, or of its key."""
        told = [self.firing.context.get(name) for name in ("key", "labels")]
        own = {name: value for item in told if isinstance(item, Mapping) for name, value in item.items()}
        return spread({**((self.event or {}).get("resource") or {}), **own})

    def involved(self) -> list[dict[str, str]]:
        """Labels of the resource and of the related ones."""
        event = self.event or {}
        found = [event.get("resource"), *(event.get("related") or [])]
        own = [labels for labels in found if labels]
        return own or ([self.labels] if "resource.id" in self.labels else [])

    def ours(self, kind: str) -> uuid.UUID | None:
        """The id of the first of our own things of a kind that is involved."""
        return first_of(kind, self.involved())

    def _found(self, model: type[Any], identifier: uuid.UUID | None) -> dict[str, Any] | None:
        row = self.session.get(model, identifier) if identifier is not None else None
        return None if row is None else _shown(row)

    def _run(self) -> FlowRun | None:
        identifier = self.ours("flow-run")
        return self.session.get(FlowRun, identifier) if identifier is not None else None

    def _deployment(self) -> dict[str, Any] | None:
        identifier = self.ours("deployment")
        if identifier is None:
            run = self._run()
            identifier = run.deployment_id if run is not None else None
        if identifier is None and self.trigger is not None:
            identifier = self.trigger.deployment_id
        row = self.session.get(Deployment, identifier) if identifier is not None else None
        if row is None:
            return None
        return {**_shown(row), "flow": row.flow.name, "full_name": f"{row.flow.name}/{row.name}"}

    def _flow(self) -> dict[str, Any] | None:
        run = self._run()
        return self._found(Flow, self.ours("flow") or (run.flow_id if run is not None else None))

    def _resource(self) -> dict[str, Any] | None:
        involved = self.involved()
        if not involved:
            return None
        labels = spread(involved[0])
        row = self.session.get(Resource, labels["resource.id"])
        if row is None:
            return labels
        return {**labels, "kind": row.kind, "name": row.name, "labels": spread(_plain(row.labels or {}))}


def spread(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Labels by their names, and by the parts of them: ``labels["resource.id"]``, ``labels.resource.id``; those of the
    resource itself without that word, too: ``labels.id``.
    """
    found: dict[str, Any] = {}
    for name, value in _ways(labels):
        place = found
        *above, last = name.split(".")
        for part in above:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place.setdefault(last, value)
    return {**found, **labels}


def _ways(labels: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in labels.items():
        if isinstance(value, str):
            yield name, value
    for name, value in labels.items():
        if name.startswith("resource."):
            yield name.removeprefix("resource."), value


def _shown(row: Any) -> dict[str, Any]:
    """The columns of a row that templates see, and the address of its page."""
    kind = inspect(row).mapper.class_
    shown = {name: _plain(getattr(row, name)) for name in _SHOWN[kind]}
    if kind in _PAGES:
        shown["url"] = page(_PAGES[kind], row.id, current())
    return shown


def page(noun: str, identifier: uuid.UUID, settings: Settings) -> str:
    """Address of a page."""
    return f"{base_url(settings)}/{noun}/{identifier}"


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
