"""What flows report, kept as Python objects in place of being sent."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from .. import client, serializers
from ..block import use_store
from ..clock import from_text
from ..documents.records import State
from ..errors import Conflict, NotFound, OrchestratorError
from ..masking import here as masks
from ..observing import tracking
from ..reporting import pipes
from ..states import StateType

R = TypeVar("R", "RecordedFlowRun", "RecordedTaskRun")


@dataclass
class RecordedFlowRun:
    """A flow run. ``states`` are all that it was in, in order; ``result`` is what would be kept of its value."""

    id: str
    flow: str
    name: str
    parameters: dict[str, Any]
    tags: list[str]
    parent_flow_run_id: str | None
    parent_task_run_id: str | None
    states: list[State] = field(default_factory=list)
    result: dict[str, Any] | None = None

    @property
    def state(self) -> State:
        """The last state."""
        return self.states[-1]


@dataclass
class RecordedTaskRun:
    """A task run; ``upstream`` are the ids of the task runs that it waited for."""

    id: str
    flow_run_id: str
    name: str
    task_key: str
    tags: list[str]
    upstream: list[str]
    parent_id: str | None
    attempt: int = 0
    states: list[State] = field(default_factory=list)

    @property
    def state(self) -> State:
        """The last state."""
        return self.states[-1]


@dataclass(frozen=True)
class RecordedLog:
    """A line of a run's log."""

    flow_run_id: str
    task_run_id: str | None
    level: int
    logger: str
    message: str
    at: datetime


@dataclass(frozen=True)
class RecordedEvent:
    """An event that code emitted."""

    id: str
    event: str
    resource: dict[str, str]
    related: list[dict[str, str]]
    payload: dict[str, Any]
    occurred: datetime


@dataclass(frozen=True)
class RecordedArtifact:
    """An artifact."""

    id: str
    key: str | None
    type: str
    data: Any
    description: str
    flow_run_id: str | None
    task_run_id: str | None


class Recording:
    """Takes what flows report, masked and as JSON like the server would get it, and gives it as Python objects.

    Attributes:
        items: The reports themselves, in their order.
        variables: What ``Variable.get`` finds and ``Variable.set`` changes.
    """

    def __init__(self, variables: Mapping[str, Any] | None = None) -> None:
        self.items: list[dict[str, Any]] = []
        self.variables: dict[str, Any] = dict(variables or {})
        self._lock = threading.Lock()

    def put(self, item: Mapping[str, Any]) -> None:
        """Take a report."""
        data = serializers.loads(pipes.encode(masks.item(item)))
        with self._lock:
            self.items.append(data)

    def flush(self, timeout: float) -> bool:
        """Everything is there at once."""
        return True

    @property
    def flow_runs(self) -> list[RecordedFlowRun]:
        """All flow runs, in the order in which they began."""
        found: dict[str, RecordedFlowRun] = {}
        for item in self._of("flow-run", "flow-run-state"):
            if item["kind"] == "flow-run":
                names = ("id", "flow", "name", "parameters", "tags", "parent_flow_run_id", "parent_task_run_id")
                found[item["id"]] = RecordedFlowRun(*(item.get(name) for name in names))  # type: ignore[arg-type]
            run = found[item["id"]]
            run.states.append(State.read(item["state"]))
            run.result = item.get("result") or run.result
        return list(found.values())

    @property
    def task_runs(self) -> list[RecordedTaskRun]:
        """All task runs, in the order in which they were first heard of."""
        found: dict[str, RecordedTaskRun] = {}
        names = ("id", "flow_run_id", "name", "task_key", "tags", "upstream", "parent_id")
        for item in self._of("task-run"):
            run = found.setdefault(item["id"], RecordedTaskRun(*(item.get(name) for name in names)))  # type: ignore[arg-type]
            run.attempt = item["attempt"]
            run.states.append(State.read(item["state"]))
        return list(found.values())

    @property
    def logs(self) -> list[RecordedLog]:
        """All log lines, in their order."""
        names = ("flow_run_id", "task_run_id", "level", "logger", "message")
        return [
            RecordedLog(**{name: item[name] for name in names}, at=from_text(item["at"])) for item in self._of("log")
        ]

    @property
    def messages(self) -> list[str]:
        """The texts of all log lines."""
        return [line.message for line in self.logs]

    @property
    def events(self) -> list[RecordedEvent]:
        """All events that code emitted, in their order."""
        names = ("id", "event", "resource", "related", "payload")
        documents = [item["event"] for item in self._of("event")]
        return [
            RecordedEvent(**{name: one[name] for name in names}, occurred=from_text(one["occurred"]))
            for one in documents
        ]

    @property
    def artifacts(self) -> list[RecordedArtifact]:
        """All artifacts, in their order."""
        names = ("id", "key", "type", "data", "description", "flow_run_id", "task_run_id")
        return [RecordedArtifact(*(item.get(name) for name in names)) for item in self._of("artifact")]  # type: ignore[arg-type]

    def flow_run(self, flow: str | None = None) -> RecordedFlowRun:
        """The one flow run, of the flow of that name if one is given. Raises LookupError unless it is exactly one."""
        return _only([run for run in self.flow_runs if flow in (None, run.flow)], "flow run", flow)

    def task_run(self, name: str | None = None) -> RecordedTaskRun:
        """The one task run of that name, such as ``extract-0``. Raises LookupError unless there is exactly one."""
        return _only([run for run in self.task_runs if name in (None, run.name)], "task run", name)

    def assert_completed(self, flow: str | None = None) -> RecordedFlowRun:
        """The one flow run, which has to be COMPLETED; AssertionError says what became of it instead."""
        run = self.flow_run(flow)
        assert run.state.type is StateType.COMPLETED, f"{run.flow} is {run.state.name}: {run.state.message}"
        return run

    def _of(self, *kinds: str) -> list[dict[str, Any]]:
        with self._lock:
            return [item for item in self.items if item["kind"] in kinds]


def _only(found: list[R], what: str, name: str | None) -> R:
    if len(found) != 1:
        listed = ", ".join(run.name for run in found[:10]) or "none"
        raise LookupError(f"there are {len(found)} {what}s{f' of {name}' if name else ''}, not one: {listed}")
    return found[0]


@contextmanager
def recorded(variables: Mapping[str, Any] | None = None) -> Iterator[Recording]:
    """While the ``with`` lasts, flows that begin here report to the :class:`Recording` that it gives, in memory.

    No server is needed, and none is told, whatever API is configured. Variables are the recording's; blocks that are
    saved inside the ``with`` are loaded from memory. Anything else that asks the API for something is refused.

    Args:
        variables: What ``Variable.get`` finds.
    """
    recording = Recording(variables)
    before = tracking.use(recording)
    stand_in = client.use(_MemoryClient(recording))
    try:
        with use_store(_MemoryStore()):
            yield recording
    finally:
        tracking.use(before)
        client.use(stand_in)


class _MemoryClient(client.Client):
    """Answers for variables."""

    def __init__(self, recording: Recording) -> None:
        super().__init__("http://recorded.invalid")
        self._recording = recording

    def request(self, method: str, path: str, json: Any = None, *args: Any, **options: Any) -> Any:
        noun, _, name = path.partition("/")
        if noun != "variables" or not name or method not in {"GET", "PUT", "DELETE"}:
            raise OrchestratorError(
                f"{method} {path} needs a server, which recorded() is not: use orchestrator_test_harness()"
            )
        known = self._recording.variables
        if method == "PUT":
            known[name] = json["value"]
        elif name not in known:
            raise NotFound(f"there is no variable {name}: recorded(variables={{{name!r}: ...}}) gives it a value")
        elif method == "DELETE":
            return known.pop(name)
        return {"name": name, "value": known[name], "tags": []}


class _MemoryStore:
    """Keeps blocks for as long as the recording lasts."""

    def __init__(self) -> None:
        self._documents: dict[str, dict[str, Any]] = {}

    def register(self, type_facts: dict[str, Any]) -> str:
        return str(type_facts.get("slug", ""))

    def save(self, slug: str, name: str | None, data: dict[str, Any], overwrite: bool) -> str:
        for known in self._documents.values():
            if name is not None and (known["type"], known["name"]) == (slug, name):
                if not overwrite:
                    raise Conflict(f"there is a block {slug}/{name} already")
                known["data"] = data
                return str(known["id"])
        identifier = str(uuid.uuid4())
        self._documents[identifier] = {"id": identifier, "type": slug, "name": name, "data": data}
        return identifier

    def load(self, ref: str) -> dict[str, Any]:
        for known in self._documents.values():
            if ref in (known["id"], f"{known['type']}/{known['name']}"):
                return known
        raise NotFound(f"there is no block {ref}: save one inside `with recorded()`")

    def delete(self, ref: str) -> None:
        del self._documents[self.load(ref)["id"]]
