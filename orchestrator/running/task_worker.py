"""A worker of a :class:`~orchestrator.CeleryRunner`: does task jobs of one flow run, on an agent.

It is an errand: a run of its own, in a process of its own. The main thread does the calls, one after another, by the
same code as in the processes of a ProcessRunner; a second thread takes jobs from the API, tells how they ended, and
ends this process when nobody wants what it does any more.
"""

from __future__ import annotations

import base64
import os
import pickle
import queue
import signal
import sys
import threading
import uuid
from collections import Counter, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import context, results
from ..client import Client, patiently
from ..clock import real_time as time
from ..context import FlowRun
from ..documents.records import Storage
from ..errors import OrchestratorError, TimedOut
from ..keeping.kept_files import KeptFiles
from ..keeping.result_storage import ResultStorage
from ..projects import loading
from ..results import State
from ..task_runners.call_worker import Worker, ended_of
from ..task_runners.carrying import BEGUN, END, PROTOCOL, Ended, Hello, Order
from ..task_runners.process_runner import GRACE, SLACK
from ..task_runners.sealing import BATCH, BATCH_BYTES, Seal
from .runner import project_copy

#: Seconds without a job after which a worker ends; and between two words to the API while it works.
IDLE, BEAT = 5.0, 2.0
#: Seconds for which the API may be away before a worker gives up.
PATIENCE = 120.0


@dataclass(frozen=True)
class Job:
    """A job that was taken, opened."""

    id: uuid.UUID
    hello: Hello
    order: Order


def work(flow_run_id: str) -> int:
    """Do task jobs of a flow run until there are none for a while; returns how many were done.

    Raises:
        OrchestratorError: The code cannot be had, or the API stays away.
    """
    own = context.flow_run()
    assert own is not None
    found = own.settings
    client = Client(found.api_url, found.api_key)
    place = patiently(lambda: client.get(f"flow-runs/{flow_run_id}/task-jobs/place"))
    root = project_copy(Storage.read(place["storage"]), Path.cwd() / "work", found)
    os.chdir(root)
    loading.load_flow(root, place["entrypoint"])
    desk = Desk(client, flow_run_id, base64.b64decode(place["key"]), own, root)
    threading.Thread(target=desk.keep, name="task-jobs", daemon=True).start()
    while (hello := desk.orders.next_hello()) is not None:
        Worker(desk, hello, {"settings": found, "supervised": False}).work()
    return desk.finish()


class _Orders:
    """Jobs in the order in which they came, each with the flow run that it is of; who takes one has it at present."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._next: Job | None = None
        self._hello: Hello | None = None
        self._ended = False
        self.present: uuid.UUID | None = None

    def put(self, job: Job | None) -> None:
        """Append a job; None: there are no more."""
        self._queue.put(job)

    def next_hello(self) -> Hello | None:
        """Wait for a job; the flow run that it is of, None when there are no more."""
        if self._next is None and not self._ended:
            self._next = self._queue.get()
            self._ended = self._next is None
        self._hello = self._next.hello if self._next is not None else None
        return self._hello

    def get(self) -> Order | None:
        """The next call of the same flow run; None: the next one is of another, or there is none."""
        if self.next_is_other():
            return None
        assert self._next is not None
        job, self._next = self._next, None
        self.present = job.id
        return job.order

    def next_is_other(self) -> bool:
        """Whether the next job, which is waited for, is not of the flow run that the last ones were of."""
        before = self._hello
        same = self.next_hello() is before and before is not None
        return not same


class Desk:
    """Takes jobs and tells how they ended. It stands in for the link to the flow's process.

    Args:
        client: Of the API, with the key of the worker's own run.
        flow_run_id: Whom the work is for.
        key: Seals the jobs.
        own: The worker's own run: what tasks report goes the way that its reports go.
        root: Of the project here.
    """

    def __init__(self, client: Client, flow_run_id: str, key: bytes, own: FlowRun, root: Path) -> None:
        assert own.sink is not None, "an agent watches it"
        self._client, self._sink, self._root, self._settings = client, own.sink, root, own.settings
        self._path = f"flow-runs/{flow_run_id}/task-jobs/take"
        self._key, self._seal = key, Seal(key, KeptFiles(own.settings, None))
        self.orders = _Orders()
        self.is_busy = False
        self._prefetch = 1
        self._hellos: dict[bytes, Hello] = {}
        #: Jobs that are held and not told of; jobs that are done and not told of.
        self._holding: dict[uuid.UUID, Order] = {}
        self._done: deque[tuple[uuid.UUID, bytes]] = deque()
        self._news, self._over = threading.Event(), threading.Event()
        self._deadline: float | None = None
        self._numbers: Counter[str] = Counter()
        self._count = 0

    def put(self, item: Mapping[str, Any]) -> None:
        """Report something."""
        self._sink.put(item)

    def flush(self, timeout: float) -> bool:
        """As the sink of the worker's own run."""
        return self._sink.flush(timeout)

    def ask(self, what: str, value: Any) -> Any:
        """Number the task runs that tasks begin: each worker counts by itself."""
        if what != "number":
            return self.flush(value)
        self._numbers[value] += 1
        return self._numbers[value] - 1

    def send(self, kind: str, content: Any = None) -> None:
        """Take note of a call that begins, or has ended."""
        job = self.orders.present
        assert job is not None
        if kind == BEGUN:
            timeout = self._holding[job].timeout
            self._deadline = None if timeout is None else time.monotonic() + timeout + SLACK
        elif kind == END:
            self._deadline = None
            self._sink.flush(10.0)  # what it said is told before its end is
            self._end(job, content)
            if (content.details or {}).get("signal") == "SIGTERM":  # the agent ends this process
                self.orders.put(None)

    def finish(self) -> int:
        """Tell of what is not told yet; how many jobs were done."""
        self._over.wait(PATIENCE)
        return self._count

    def keep(self) -> None:
        """Take jobs and tell of them, until there are no more."""
        try:
            while self._exchange():
                pass
        except BaseException as error:
            sys.stderr.write(f"the worker ends: {results.describe(error)}\n")
            self._stop()
        finally:
            self._over.set()
            self.orders.put(None)

    def _exchange(self) -> bool:
        """One question to the API; False where there is nothing more to do."""
        idle = not self._holding and not self._done
        if not idle and not self._done and len(self._holding) >= self._prefetch:
            self._news.wait(BEAT)
        self._news.clear()
        self._watch_time()
        done = self._to_tell()
        body = {
            "done": _as_json(done),
            "holding": list(self._holding),
            "limit": max(0, self._prefetch - len(self._holding)),
            "wait_s": IDLE if idle else 0.0,
        }
        until = time.monotonic() + PATIENCE
        answer = patiently(partial(self._client.post, self._path, body), lambda: time.monotonic() < until)
        self._count += len(done)
        if answer["over"] or set(answer["revoked"]) & {str(job) for job in self._holding}:
            self._stop()
            return False
        for item in answer["items"]:
            self._accept(uuid.UUID(item["id"]), base64.b64decode(item["content"]))
        return not (idle and not answer["items"])

    def _to_tell(self) -> list[tuple[uuid.UUID, bytes]]:
        """Outcomes for one request; their jobs are held no more."""
        found: list[tuple[uuid.UUID, bytes]] = []
        size = 0
        while self._done and len(found) < BATCH:
            size += len(self._done[0][1])
            if found and size > BATCH_BYTES:
                break
            found.append(self._done.popleft())
            self._holding.pop(found[-1][0], None)
        return found

    def _accept(self, job: uuid.UUID, sealed: bytes) -> None:
        try:
            told, order = pickle.loads(self._seal.open(job, "order", sealed))
            hello = self._hellos.get(told)
            if hello is None:
                hello = self._hellos[told] = self._introduced(told)
        except Exception as error:  # the storage's, or what is not sealed by the flow run
            self._tell(job, results.failure(error), "a call")
            return
        place = order.place
        if place.file and not Path(place.file).is_absolute():
            order = replace(order, place=replace(place, file=str(self._root / place.file)))
        self._holding[job] = order
        self.orders.put(Job(job, hello, order))

    def _introduced(self, told: bytes) -> Hello:
        """What a job tells of its flow run, as it is here."""
        self._prefetch, hello = pickle.loads(told)
        storage: ResultStorage | None = pickle.loads(hello.run["results"]) if "results" in hello.run else None
        self._seal = Seal(self._key, KeptFiles(self._settings, storage))
        folders = [str(self._root / one) for one in hello.path]
        sys.path[:] = [*folders, *(one for one in sys.path if one not in folders)]
        here: Hello = replace(hello, path=sys.path, arguments=sys.argv)
        return here

    def _end(self, job: uuid.UUID, ended: Ended) -> None:
        name = str(self._holding[job].run["name"])
        try:
            sealed = self._seal.close(job, "outcome", pickle.dumps(ended, PROTOCOL), f"the result of {name}")
        except Exception as error:  # it is too large, or the storage's
            self._tell(job, results.failure(error), name)
        else:
            self._done.append((job, sealed))
            self._news.set()

    def _tell(self, job: uuid.UUID, state: State, name: str) -> None:
        """End a job in a state that holds nothing large."""
        ended = pickle.dumps(ended_of(state, name), PROTOCOL)
        self._done.append((job, self._seal.close(job, "outcome", ended, name)))
        self._news.set()

    def _watch_time(self) -> None:
        """End a call that its own alarm does not end, and with it this process."""
        job = self.orders.present
        if self._deadline is None or job is None or time.monotonic() < self._deadline:
            return
        order, name = self._holding[job], str(self._holding[job].run["name"])
        self._tell(job, results.failure(TimedOut(f"task run {name} took longer than {order.timeout:g} s")), name)
        with suppress(OrchestratorError):  # the flow's process learns that the worker died
            while done := self._to_tell():
                self._client.post(self._path, {"done": _as_json(done), "limit": 0})
        os._exit(1)

    def _stop(self) -> None:
        """End what is being done: nobody wants it any more."""
        if self.is_busy:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(GRACE)
            os._exit(1)


def _as_json(jobs: list[tuple[uuid.UUID, bytes]]) -> list[dict[str, Any]]:
    return [{"id": job, "content": base64.b64encode(sealed).decode()} for job, sealed in jobs]
