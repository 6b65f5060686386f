"""The event stream of a Celery application, in our words."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, Protocol

from orchestrator.interfaces import Observed, Related, Resource

#: Events of the stream, and what they are called here. Heartbeats say who is there, and are no news.
EVENTS = {
    "task-sent": "celery.task.sent", "task-received": "celery.task.received", "task-started": "celery.task.started",
    "task-succeeded": "celery.task.succeeded", "task-failed": "celery.task.failed",
    "task-retried": "celery.task.retried", "task-rejected": "celery.task.rejected",
    "task-revoked": "celery.task.revoked", "worker-online": "celery.worker.online",
    "worker-offline": "celery.worker.offline",
}  # fmt: skip
#: Names of tasks that are remembered from one look to the next: only the first events of a task tell its name.
REMEMBERED = 10_000
_TEXT = 1_000


class Watched(Protocol):
    """The application, by how its parts are named."""

    def resource_id(self, part: str = "") -> str:
        """The id of the application, or of a part of it."""

    def worker(self, name: str, heartbeat: dict[str, Any]) -> Resource:
        """A worker, by what it last said of itself."""


class Look:
    """What is heard of an application: events are told on, names of tasks and workers are kept."""

    def __init__(self, block: Watched, tasks: dict[str, str], emit: Callable[[Observed], None]) -> None:
        self._block, self._emit, self.tasks = block, emit, tasks
        self.workers: dict[str, float] = {}
        self.told = 0
        self._came: set[str] = set()
        self._left: set[str] = set()

    def take(self, event: dict[str, Any]) -> None:
        """Hear one event of the stream."""
        kind, worker = str(event.get("type")), str(event.get("hostname"))
        at = event.get("timestamp")
        at = float(at) if isinstance(at, (int, float)) else time.time()
        if kind == "worker-offline":
            self.workers.pop(worker, None)
            self._left.add(worker)
        elif kind.startswith("worker-"):
            self.workers[worker] = at
            if kind == "worker-online":
                self._came.add(worker)
        if kind.startswith("task-"):
            self._remember(event)
        if kind in EVENTS:
            key = f"{event.get('uuid') or worker} {kind} {at}"
            about = self._task(event) if kind.startswith("task-") else self._block.worker(worker, event)
            self._tell(EVENTS[kind], about, at, self._payload(event), key)

    def compare(self, before: dict[str, Any]) -> None:
        """Tell of workers that came or went between the looks, or went without a word."""
        for worker in sorted(before.keys() - self.workers.keys() - self._left):
            self.workers[worker] = before[worker]
            self.silent(worker)
        for worker in sorted(self.workers.keys() - before.keys() - self._came):
            key = f"{worker} heard at {self.workers[worker]}"
            self._tell("celery.worker.online", self._block.worker(worker, {}), None, {"worker": worker}, key)

    def beat(self, worker: str, event: dict[str, Any]) -> None:
        """Tell that a worker is alive."""
        at = self.workers.get(worker, time.time())
        facts: dict[str, Any] = {
            name: scalar(event.get(name)) for name in ("active", "processed", "freq") if name in event
        }
        key = f"{worker} alive at {at}"
        self._tell("celery.worker.heartbeat", self._block.worker(worker, event), at, {"worker": worker, **facts}, key)

    def silent(self, worker: str) -> None:
        """Tell that a worker went without a word."""
        last = self.workers.pop(worker, None)
        payload = {"worker": worker, "last_heard": last}
        key = f"{worker} silent since {last}"
        self._tell("celery.worker.offline", self._block.worker(worker, {}), None, payload, key)

    def _remember(self, event: dict[str, Any]) -> None:
        if (task := str(event.get("uuid"))) and event.get("name"):
            self.tasks[task] = str(event["name"])[:255]
            if len(self.tasks) > 2 * REMEMBERED:
                self.tasks = dict([*self.tasks.items()][-REMEMBERED:])

    def _task(self, event: dict[str, Any]) -> Resource:
        name = self.tasks.get(str(event.get("uuid")), "unknown")
        related = [Related(self._block.resource_id(), "part-of")]
        if event.get("type") != "task-sent":  # that one comes from whoever sent it
            related.append(Related(self._block.resource_id(f"worker/{event.get('hostname')}"), "worker"))
        if event.get("queue"):
            related.append(Related(self._block.resource_id(f"queue/{event['queue']}"), "queue"))
        return Resource(self._block.resource_id(f"task/{name}"), "celery.task", name, {}, tuple(related))

    def _payload(self, event: dict[str, Any]) -> dict[str, Any]:
        # Neither arguments nor results: they are the application's own, and may be secret.
        kept = ("uuid", "exception", "runtime", "retries", "queue", "root_id", "parent_id", "pid", "eta")
        facts = {key: scalar(event[key]) for key in kept if event.get(key) is not None}
        return {"worker": str(event.get("hostname")), **facts}

    def _tell(self, name: str, about: Resource, at: float | None, payload: dict[str, Any], key: str) -> None:
        occurred = None if at is None else datetime.fromtimestamp(at, timezone.utc)
        self._emit(Observed(name, about, occurred, payload, key))
        self.told += 1


def events_in(data: Any) -> Iterator[dict[str, Any]]:
    """The events of a message: one, or several that a worker sent at once. What is no such message is passed over."""
    try:
        message = json.loads(data)
        body = message["body"]
        if message.get("properties", {}).get("body_encoding") == "base64":
            body = base64.b64decode(body)
        found = json.loads(body)
    except (ValueError, TypeError, KeyError, AttributeError):
        return
    for event in found if isinstance(found, list) else [found]:
        if isinstance(event, dict):
            yield event


def scalar(value: Any) -> Any:
    """What a label or a payload can hold of a value."""
    return value if value is None or isinstance(value, (int, float, bool)) else str(value)[:_TEXT]
