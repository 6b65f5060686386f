"""Tasks of one flow spread over the agents of a work queue, as the flow's process sees it.

The flow hands calls to the API as task jobs; workers (:mod:`orchestrator.running.task_worker`), which Celery agents run
for it with the code of the same snapshot, take them. As in :mod:`orchestrator.task_runners.process_runner` the states
of a task run are made here, and what travels is the step that enters user code.
"""

from __future__ import annotations

import base64
import inspect
import pickle
import sys
import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from .. import context, results
from ..client import Client, patiently
from ..clock import real_time as time
from ..context import FlowRun
from ..engine.task_runners import ThreadRunner
from ..errors import Conflict, InvalidInput, NotFound, OrchestratorError
from ..ids import uuid7
from ..keeping.kept_files import KeptFiles
from ..observing.logs import get_run_logger
from ..projects import loading
from ..results import State
from ..states import StateType
from .carrying import PROTOCOL, Ended, Hello, Order, Place, order_of, place_of, run_facts, state_of, too_late
from .sealing import BATCH, BATCH_BYTES, Seal

#: Seconds that a request for outcomes waits: as often it is looked whether there are workers enough.
WAIT = 2.0
#: Seconds after which it is said why no worker works.
SAY_AFTER = 10.0
#: Largest field of a flow run, a pickle, that workers are told; it travels with every call.
FACT_MAX = 16 * 1024


class CeleryRunner(ThreadRunner):
    """Runs the tasks of a flow on agents: on as many computers as serve the work queue.

    For runs of deployments. Workers begin when the first task is submitted, take a place on an agent each, as a run
    does, and end with the flow run or when there has been nothing to do for a while. Arguments and results have to be
    such as can be pickled; what takes more than 1 MiB travels through the deployment's storage for results. A worker
    that dies takes the task runs that it holds along: they end CRASHED.

    Args:
        max_workers: Most workers at a time.
        prefetch: Calls that a worker holds, the one that it executes included. With many short tasks, more are faster.
        work_queue: Name of the queue whose agents are to work; the flow run's own when not given.

    Raises:
        InvalidInput: A number is none, or below 1.
    """

    def __init__(self, max_workers: int = 4, *, prefetch: int = 1, work_queue: str | None = None) -> None:
        for name, value in (("max_workers", max_workers), ("prefetch", prefetch)):
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 200:
                raise InvalidInput(f"{name} is {value!r}: it has to be a number from 1 to 200")
        super().__init__(max_workers * prefetch)
        self._workers, self._prefetch, self._queue_name = max_workers, prefetch, work_queue
        self._opening = threading.Lock()
        self._desk: _Desk | None = None

    def fresh(self) -> CeleryRunner:
        """Another one with the same options."""
        return CeleryRunner(self._workers, prefetch=self._prefetch, work_queue=self._queue_name)

    def carried(self, fn: Callable[..., Any], timeout: float | None, name: str) -> Callable[..., Any] | None:
        """What stands in for a task's function here: it has it called by one of the workers.

        Raises:
            InvalidInput: A worker would not find the function, or the flow run is none of a deployment.
        """
        run = context.flow_run()
        if run is None or not _outermost(run).supervised:
            told = f"task {name} is submitted to CeleryRunner outside of a deployment's run"
            raise InvalidInput(f"{told}: agents would not find its code; use ThreadRunner or ProcessRunner by hand")
        return partial(self._call, _below(place_of(fn, name)), fn.__self__ if inspect.ismethod(fn) else None, timeout)

    def close(self) -> None:
        """Let the workers go."""
        super().close()
        if self._desk is not None:
            self._desk.close()

    def _call(self, place: Place, owner: Any, timeout: float | None, /, *args: Any, **kwargs: Any) -> State:
        order, task, run = order_of(place, owner, timeout, args, kwargs)
        with self._opening:
            if self._desk is None:
                self._desk = _Desk(run, self._workers, self._prefetch, self._queue_name)
        return self._desk.call(order, task.name)


class _Call:
    """One call that was handed over."""

    def __init__(self, name: str, sealed: bytes) -> None:
        self.name, self.sealed = name, sealed
        self.over = threading.Event()
        self.state: State | None = None

    def end(self, state: State) -> None:
        self.state = state
        self.over.set()


class _Desk:
    """Hands calls over and takes their outcomes: one thread for each way."""

    def __init__(self, run: FlowRun, workers: int, prefetch: int, queue: str | None) -> None:
        outermost = _outermost(run)
        self._client = Client(run.settings.api_url, run.settings.api_key)
        self._path = f"flow-runs/{outermost.id}/task-jobs"
        place = patiently(lambda: self._client.get(f"{self._path}/place"))
        self._seal = Seal(base64.b64decode(place["key"]), KeptFiles(run.settings, run.results))
        self._staff = {"attempt": outermost.attempt, "workers": workers, "work_queue": queue}
        hello = Hello(_project_path(), sys.argv, ("", ""), run_facts(run, {"settings"}, FACT_MAX), run.sink is not None)
        self._hello = pickle.dumps((prefetch, hello), PROTOCOL)
        self._calls: dict[uuid.UUID, _Call] = {}
        self._unsent: dict[uuid.UUID, _Call] = {}
        self._lock = threading.Lock()
        self._news, self._some = threading.Event(), threading.Event()
        self._closed = False
        self._began = time.monotonic()
        self._told = ""
        for work in (self._send, self._receive):
            threading.Thread(target=self._until_closed, args=(work,), name="task-jobs", daemon=True).start()

    def call(self, order: Order, name: str) -> State:
        """Have a function called; the state that the call ended in."""
        job = uuid7()
        data = pickle.dumps((self._hello, order), PROTOCOL)
        call = _Call(name, self._seal.close(job, "order", data, f"the call of {name}"))
        with self._lock:
            if self._closed:
                return too_late()
            self._calls[job] = self._unsent[job] = call
        self._news.set()
        self._some.set()
        call.over.wait()
        assert call.state is not None
        return call.state

    def close(self) -> None:
        """Let the workers go; calls that are not over are none any more."""
        self._closed = True
        self._fail(too_late())
        self._news.set()
        self._some.set()
        with suppress(OrchestratorError):  # they end with the flow run
            self._client.delete(self._path, {"attempt": self._staff["attempt"]})

    def _is_open(self) -> bool:
        return not self._closed

    def _until_closed(self, work: Callable[[], None]) -> None:
        while not self._closed:
            try:
                work()
            except (Conflict, NotFound) as error:
                self._closed = True
                self._fail(State(StateType.CANCELLED, "", f"the flow run is over: {error}"))
            except Exception as error:  # nobody else would tell those who wait
                self._fail(results.failure(error))

    def _fail(self, state: State) -> None:
        with self._lock:
            left = list(self._calls.values())
            self._calls.clear()
            self._unsent.clear()
        for call in left:
            call.end(state)

    def _send(self) -> None:
        self._news.wait()
        self._news.clear()
        while batch := self._next_batch():
            jobs = [{"id": job, "content": base64.b64encode(call.sealed).decode()} for job, call in batch.items()]
            body = {**self._staff, "jobs": jobs}
            patiently(partial(self._client.post, self._path, body), self._is_open)

    def _next_batch(self) -> dict[uuid.UUID, _Call]:
        found: dict[uuid.UUID, _Call] = {}
        with self._lock:
            size = 0
            for job, call in islice(self._unsent.items(), BATCH):
                if found and size + len(call.sealed) > BATCH_BYTES:
                    break
                found[job] = call
                size += len(call.sealed)
            for job in found:
                del self._unsent[job]
        return found

    def _receive(self) -> None:
        taken: list[str] = []
        while not self._closed:
            if not taken and not self._calls:
                self._some.clear()
                if not self._calls and not self._closed:
                    self._some.wait()
                continue
            body = {**self._staff, "taken": taken, "wait_s": WAIT}
            asked = time.monotonic()
            answer = patiently(partial(self._client.post, f"{self._path}/outcomes", body), self._is_open)
            taken = [item["id"] for item in answer["items"]]
            for item in answer["items"]:
                self._end(uuid.UUID(item["id"]), item)
            self._say_why(answer["waiting_reason"])
            if not taken and time.monotonic() - asked < WAIT / 4:  # too many wait at the server
                time.sleep(0.1)

    def _end(self, job: uuid.UUID, item: dict[str, Any]) -> None:
        with self._lock:
            call = self._calls.pop(job, None)
        if call is None:
            return
        if item["lost"] is not None:
            message = f"the worker that had it ended before it did: {item['lost']}"
            call.end(State(StateType.CRASHED, "", message))
            return
        try:
            ended = pickle.loads(self._seal.open(job, "outcome", base64.b64decode(item["content"])))
            assert isinstance(ended, Ended)
            call.end(state_of(ended, call.name))
        except Exception as error:
            call.end(results.failure(error))
        self._seal.forget(call.sealed)
        if item["content"] is not None:
            self._seal.forget(base64.b64decode(item["content"]))

    def _say_why(self, reason: dict[str, Any] | None) -> None:
        if reason is None:
            self._began = time.monotonic()
            return
        message = str(reason["message"])
        if message != self._told and time.monotonic() - self._began > SAY_AFTER:
            self._told = message
            get_run_logger().warning("no worker takes its tasks up: %s", message)


def _outermost(run: FlowRun) -> FlowRun:
    while run.parent is not None:
        run = run.parent
    return run


def _below(place: Place) -> Place:
    """The place with its file named from the project's root, which lies elsewhere at a worker."""
    file = Path(place.file)
    if loading.project is not None and file.is_absolute() and file.resolve().is_relative_to(loading.project):
        return Place(place.module, place.qualname, str(file.resolve().relative_to(loading.project)))
    return place


def _project_path() -> list[str]:
    """Folders of the project on ``sys.path``, named from its root; others are each computer's own."""
    root = loading.project
    found = [Path(entry).resolve() for entry in sys.path if entry]
    return [str(one.relative_to(root)) for one in found if root is not None and one.is_relative_to(root)]
