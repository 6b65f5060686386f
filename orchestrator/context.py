"""What runs here: the flow run and the task run that the present code belongs to."""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .clock import now, to_text
from .ids import uuid7
from .reporting import Sink
from .settings import Settings
from .states import StateType

if TYPE_CHECKING:
    from .asking.awaiting import Waits
    from .asking.drawn import Drawn
    from .engine.task_runners import TaskRunner
    from .futures import TaskFuture
    from .keeping.kept_calls import Kept
    from .keeping.result_storage import ResultStorage
    from .keeping.shelves import Keeping
    from .results import State

_flow_run: ContextVar[FlowRun | None] = ContextVar("orchestrator_flow_run", default=None)
_task_run: ContextVar[TaskRun | None] = ContextVar("orchestrator_task_run", default=None)
_tags: ContextVar[frozenset[str]] = ContextVar("orchestrator_tags", default=frozenset())


@dataclass(eq=False)
class FlowRun:
    """A flow run that this process executes.

    Attributes:
        id: Its id, as text.
        flow_name: The flow.
        name: The run's own name.
        attempt: The fencing number that its reports carry.
        sink: Where its reports go; None: it is not tracked.
        settings: Those that were in force when it began.
        results: Where results go that are too large to be kept with the run.
        supervised: Whether an agent watches it: that reports its end, and captures its output.
        tries: How often its code was begun, over all attempts.
    """

    id: str
    flow_name: str
    name: str
    parameters: dict[str, Any]
    settings: Settings
    sink: Sink | None
    attempt: int = 1
    tries: int = 0
    tags: frozenset[str] = frozenset()
    results: ResultStorage | None = None
    supervised: bool = False
    log_prints: bool = True
    parent: FlowRun | None = None
    parent_task_run_id: str | None = None
    runner: TaskRunner | None = None
    #: What it keeps of its calls; None: nothing.
    keeping: Keeping | None = None
    #: Key of the call that made it, for a subflow that a later attempt of the run above may find again.
    call_key: str = ""
    #: The state that an exception which ends the process left it in.
    ended: State | None = None
    #: Futures of submitted tasks that are not done.
    pending: set[TaskFuture[Any]] = field(default_factory=set)
    #: Who answers in place of people where the flow is drawn, not run.
    drawn: Drawn | None = None
    #: How far it is with asking people and reading messages; made when it does so first.
    waits: Waits | None = None
    _numbers: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def run_count(self) -> int:
        """How often its code was begun; the same as :attr:`tries`."""
        return self.tries

    def number(self, task_name: str) -> int:
        """How many runs of a task came before the one that asks."""
        with self._lock:
            count = self._numbers[task_name]
            self._numbers[task_name] = count + 1
        return count

    def put(self, item: Mapping[str, Any]) -> None:
        """Report something, where the run is tracked."""
        if self.sink is not None:
            self.sink.put(item)

    def put_state(self, state: State, result: dict[str, Any] | None = None, call_key: str = "") -> None:
        """Report a change of the run's state; ``call_key`` is what later attempts of the run above know its call by."""
        if self.sink is not None:
            kind = {"kind": "flow-run-state", "id": self.id, "attempt": self.attempt}
            more = {"call_key": call_key} if call_key else {}
            self.sink.put({**kind, "state": state.write(), "result": result, **more})


class TaskRun:
    """A task run that this process executes or will execute."""

    __slots__ = (
        "attempt", "flow_run", "id", "kept", "log_prints", "name", "parent", "state", "tags", "task_key", "task_name",
        "upstream",
    )  # fmt: skip

    def __init__(
        self, name: str, task_key: str, tags: list[str], upstream: list[str], flow_run: FlowRun | None, log_prints: bool
    ) -> None:
        self.id = str(uuid7())
        self.name = name
        self.task_key = task_key
        self.tags = tags
        self.upstream = upstream
        self.flow_run = flow_run
        self.parent = _task_run.get()
        self.attempt = 0
        self.log_prints = log_prints
        self.state: State | None = None
        self.kept: Kept | None = None
        #: The task's own name.
        self.task_name = ""

    @property
    def run_count(self) -> int:
        """How often its code was begun; the same as :attr:`attempt`."""
        return self.attempt

    @property
    def flow_run_id(self) -> str | None:
        """The id of the flow run that it is in; None outside of flows."""
        return self.flow_run.id if self.flow_run is not None else None

    def put(
        self, kind: StateType, name: str, message: str = "", details: dict[str, Any] | None = None, at: str = ""
    ) -> None:
        """Report the task run with its present state."""
        run = self.flow_run
        if run is None or run.sink is None:
            return
        state = {"type": kind.value, "name": name, "message": message, "at": at or to_text(now()), "details": details}
        item = {
            "kind": "task-run",
            "id": self.id,
            "flow_run_id": run.id,
            "flow_attempt": run.attempt,
            "name": self.name,
            "task_key": self.task_key,
            "attempt": self.attempt,
            "tags": self.tags,
            "upstream": self.upstream,
            "parent_id": self.parent.id if self.parent is not None else None,
            "state": state,
        }
        if self.kept is not None and self.kept.told:
            item |= self.kept.told
        run.sink.put(item)


class _Active:
    """Flow runs that execute now, outermost ones only; for threads that users start, which inherit no context."""

    def __init__(self) -> None:
        self.runs: list[FlowRun] = []
        self.lock = threading.Lock()


_active = _Active()


def flow_run() -> FlowRun | None:
    """The flow run that the present code belongs to."""
    return _flow_run.get()


def task_run() -> TaskRun | None:
    """The task run that the present code belongs to."""
    return _task_run.get()


def owner() -> FlowRun | None:
    """As :func:`flow_run`; a thread without a context belongs to the only run of the process, if there is one."""
    if (found := _flow_run.get()) is not None:
        return found
    runs = _active.runs
    return runs[0] if len(runs) == 1 else None


def active_runs() -> list[FlowRun]:
    """The outermost flow runs that this process executes."""
    return list(_active.runs)


@contextmanager
def running(run: FlowRun) -> Iterator[None]:
    """Make a flow run the present one."""
    before, task = _flow_run.get(), _task_run.get()
    _flow_run.set(run)
    _task_run.set(None)
    if run.parent is None:
        with _active.lock:
            _active.runs.append(run)
    try:
        yield
    finally:
        if run.parent is None:
            with _active.lock:
                _active.runs.remove(run)
        _flow_run.set(before)
        _task_run.set(task)


def enter_task(run: TaskRun) -> TaskRun | None:
    """Make a task run the present one; returns the one before, for :func:`leave_task`."""
    before = _task_run.get()
    _task_run.set(run)
    return before


def leave_task(before: TaskRun | None) -> None:
    """Undo :func:`enter_task`."""
    _task_run.set(before)


@dataclass(frozen=True)
class Naming:
    """A run that is being named by a function of its user's: there is none yet."""

    kind: str
    #: Of the flow or the task.
    name: str
    #: Gives the values of the call.
    parameters: Callable[[], dict[str, Any]]


_naming: ContextVar[Naming | None] = ContextVar("orchestrator_naming", default=None)


def present_naming(kind: str) -> Naming | None:
    """The run of this kind (``flow``, ``task``) that is being named."""
    found = _naming.get()
    return found if found is not None and found.kind == kind else None


@contextmanager
def naming(kind: str, name: str, parameters: Callable[[], dict[str, Any]]) -> Iterator[None]:
    """While a function names a run of the flow or task ``name``."""
    before = _naming.get()
    _naming.set(Naming(kind, name, parameters))
    try:
        yield
    finally:
        _naming.set(before)


def present_tags() -> frozenset[str]:
    """Tags that :func:`tags` lays over runs which begin here."""
    return _tags.get()


@contextmanager
def tags(*names: str) -> Iterator[frozenset[str]]:
    """Give tags to all flow runs and task runs that begin inside the ``with``."""
    before = _tags.get()
    _tags.set(before | frozenset(names))
    try:
        yield _tags.get()
    finally:
        _tags.set(before)


def _after_fork() -> None:
    _active.lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_after_fork)


def new_id() -> str:
    """An id for a run, as text."""
    return str(uuid7())


def as_uuid(text: str) -> uuid.UUID:
    """An id of ours as a UUID."""
    return uuid.UUID(text)
