"""What runs here, for code that wants to know: ``runtime.flow_run``, ``runtime.task_run``, ``runtime.deployment``.

Each attribute is worked out when it is read; outside of runs it is None, or empty. For tests each can be set by the
environment: ``ORCHESTRATOR__RUNTIME__FLOW_RUN__NAME=nightly``; lists and dicts as JSON.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from . import context, serializers
from .client import Client
from .clock import from_text
from .context import FlowRun, TaskRun
from .errors import OrchestratorError, SettingsError

PREFIX = "ORCHESTRATOR__RUNTIME__"
#: Seconds to wait for what only the API knows.
TIMEOUT = 5.0

T = TypeVar("T")


def _json(text: str) -> Any:
    try:
        return serializers.loads(text)
    except ValueError:
        return text


def _list(text: str) -> list[str]:
    found = _json(text)
    return [str(one) for one in found] if isinstance(found, list) else [part for part in text.split(",") if part]


def _dict(text: str) -> dict[str, Any]:
    found = _json(text)
    if not isinstance(found, dict):
        raise ValueError("it has to be a JSON object")
    return found


class _Facts:
    """Attributes that the environment can set."""

    _kind = ""

    def _given(self, name: str, read: Callable[[str], T], otherwise: Callable[[], T]) -> T:
        variable = f"{PREFIX}{self._kind}__{name.upper()}"
        text = os.environ.get(variable)
        if text is None:
            return otherwise()
        try:
            return read(text)
        except ValueError as error:
            raise SettingsError(f"{variable} is {text!r}, which cannot be read: {error}") from None

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.startswith("_")]


class FlowRunFacts(_Facts):
    """The flow run that the present code belongs to."""

    _kind = "FLOW_RUN"

    @property
    def id(self) -> str | None:
        """The run's id."""
        return self._of("id", str, lambda run: run.id, None)

    @property
    def name(self) -> str | None:
        """The run's own name."""
        return self._of("name", str, lambda run: run.name, None)

    @property
    def flow_name(self) -> str | None:
        """The flow."""
        if (named := context.present_naming("flow")) is not None:
            return named.name
        return self._of("flow_name", str, lambda run: run.flow_name, None)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the flow was called with."""
        if (named := context.present_naming("flow")) is not None:
            return dict(named.parameters())
        return self._of("parameters", _dict, lambda run: dict(run.parameters), {})

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return self._of("tags", _list, lambda run: sorted(run.tags), [])

    @property
    def run_count(self) -> int:
        """Which try of the flow this is, over all attempts of the run; 0 outside of runs."""
        return self._of("run_count", int, lambda run: run.tries, 0)

    @property
    def scheduled_start_time(self) -> datetime | None:
        """When the run was due; the API is asked."""
        return self._of("scheduled_start_time", from_text, _due, None)

    @property
    def parent_flow_run_id(self) -> str | None:
        """The run whose code called this one; None: there is none."""
        return self._of("parent_flow_run_id", str, _parent, None)

    @property
    def root_flow_run_id(self) -> str | None:
        """The outermost run around it in this process: itself, where nothing called it."""
        return self._of("root_flow_run_id", str, lambda run: _root(run).id, None)

    @property
    def work_queue_name(self) -> str | None:
        """The queue that an agent took it from; None by hand."""
        return self._of("work_queue_name", str, lambda run: (_remote(run) or {}).get("work_queue"), None)

    @property
    def api_url(self) -> str | None:
        """The run's address in REST; None where no API is configured."""
        return self._of("api_url", str, lambda run: _address(run, f"api/v1/flow-runs/{run.id}"), None)

    @property
    def ui_url(self) -> str | None:
        """The run's page; None where no API is configured."""
        return self._of("ui_url", str, lambda run: _address(run, f"runs/{run.id}"), None)

    def _of(self, name: str, read: Callable[[str], T], of: Callable[[FlowRun], T], nothing: T) -> T:
        def found() -> T:
            run = context.owner()
            return nothing if run is None else of(run)

        return self._given(name, read, found)


class TaskRunFacts(_Facts):
    """The task run that the present code belongs to."""

    _kind = "TASK_RUN"

    @property
    def id(self) -> str | None:
        """The run's id."""
        return self._of("id", str, lambda run: run.id, None)

    @property
    def name(self) -> str | None:
        """The run's own name."""
        return self._of("name", str, lambda run: run.name, None)

    @property
    def task_name(self) -> str | None:
        """The task."""
        if (named := context.present_naming("task")) is not None:
            return named.name
        return self._of("task_name", str, lambda run: run.task_name or run.name, None)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the task is called with, for a function that names the run; empty while the task runs."""
        named = context.present_naming("task")
        return self._given("parameters", _dict, lambda: {} if named is None else dict(named.parameters()))

    @property
    def task_key(self) -> str | None:
        """The task's function, as ``module.function``."""
        return self._of("task_key", str, lambda run: run.task_key, None)

    @property
    def tags(self) -> list[str]:
        """The run's tags."""
        return self._of("tags", _list, lambda run: list(run.tags), [])

    @property
    def run_count(self) -> int:
        """Which try this is, from 1; 0 outside of runs."""
        return self._of("run_count", int, lambda run: run.attempt, 0)

    @property
    def flow_run_id(self) -> str | None:
        """The flow run around it; None outside of flows."""
        return self._of("flow_run_id", str, lambda run: run.flow_run.id if run.flow_run is not None else None, None)

    @property
    def api_url(self) -> str | None:
        """The run's address in REST; None where no API is configured."""
        return self._of("api_url", str, lambda run: _address(run.flow_run, f"api/v1/task-runs/{run.id}"), None)

    @property
    def ui_url(self) -> str | None:
        """The page of the flow run around it; None where no API is configured."""
        return self._of("ui_url", str, lambda run: flow_run.ui_url, None)

    def _of(self, name: str, read: Callable[[str], T], of: Callable[[TaskRun], T], nothing: T) -> T:
        def found() -> T:
            run = context.task_run()
            return nothing if run is None else of(run)

        return self._given(name, read, found)


class DeploymentFacts(_Facts):
    """The deployment that the present flow run is one of; the API is asked."""

    _kind = "DEPLOYMENT"

    @property
    def id(self) -> str | None:
        """The deployment's id; None by hand."""
        return self._of("id", lambda found: found.get("id"))

    @property
    def name(self) -> str | None:
        """Its name, without the flow's."""
        return self._of("name", lambda found: found.get("name"))

    @property
    def flow_run_id(self) -> str | None:
        """The flow run that an agent executes here; None by hand."""
        return self._given("flow_run_id", str, lambda: run.id if (run := _claimed()) is not None else None)

    @property
    def parameters(self) -> dict[str, Any]:
        """The values that the run of the deployment was given."""
        return self._given("parameters", _dict, lambda: dict(run.parameters) if (run := _claimed()) is not None else {})

    def _of(self, name: str, of: Callable[[dict[str, Any]], str | None]) -> str | None:
        def found() -> str | None:
            run = _claimed()
            told = (_remote(run) or {}).get("deployment") if run is not None else None
            return None if told is None else of(told)

        return self._given(name, str, found)


def _claimed() -> FlowRun | None:
    """The run that an agent executes here."""
    run = context.owner()
    root = _root(run) if run is not None else None
    return root if root is not None and root.supervised else None


def _root(run: FlowRun) -> FlowRun:
    while run.parent is not None:
        run = run.parent
    return run


def _parent(run: FlowRun) -> str | None:
    if run.parent is not None:
        return run.parent.id
    return (_remote(run) or {}).get("parent_flow_run_id") if run.supervised else None


def _due(run: FlowRun) -> datetime | None:
    told = (_remote(run) or {}).get("due")
    return from_text(told) if told else None


def _address(run: FlowRun | None, path: str) -> str | None:
    return f"{run.settings.api_url.rstrip('/')}/{path}" if run is not None and run.settings.api_url else None


#: What the API told of runs, the last few of them.
_told: dict[str, dict[str, Any]] = {}


def _remote(run: FlowRun) -> dict[str, Any] | None:
    """What the API knows of a run; None where it cannot tell."""
    if run.id not in _told and run.settings.api_url:
        try:
            found = Client(run.settings.api_url, run.settings.api_key).request(
                "GET", f"flow-runs/{run.id}", timeout=TIMEOUT
            )
        except OrchestratorError:  # away, or a run by hand that it has not heard of yet
            return None
        while len(_told) > 16:
            _told.pop(next(iter(_told)))
        _told[run.id] = found
    return _told.get(run.id)


flow_run = FlowRunFacts()
task_run = TaskRunFacts()
deployment = DeploymentFacts()

__all__ = ["deployment", "flow_run", "task_run"]
