"""Tasks of one flow on a cluster of Dask; the code that calls them there is in ``dask_worker``.

As in :mod:`orchestrator.task_runners.process_runner` the states of a task run are made in the flow's process, and what
travels is the step that enters user code.
"""

from __future__ import annotations

import inspect
import os
import pickle
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from .. import results
from ..context import FlowRun
from ..engine.task_runners import ThreadRunner
from ..engine.timeouts import refuse
from ..errors import InvalidInput
from ..ids import uuid7
from ..results import State
from ..states import StateType
from . import process_runner
from .carrying import PROTOCOL, Place, hello_of, order_of, place_of, state_of, too_late
from .dask_worker import execute
from .process_runner import Relay

#: Calls under way at a time on a cluster that is not ours.
CALLS = 64


class DaskRunner(ThreadRunner):
    """Runs the tasks of a flow on a cluster of Dask. Needs the extra ``dask``.

    Arguments and results have to be such as can be pickled, and a task has to stand at the top of a module, which the
    workers have as well. A time-out of a synchronous task is refused: nothing can stop a thread.

    Args:
        address: Of the cluster's scheduler, such as ``tcp://dask:8786``. When not given, the flow run has a cluster of
            its own on this computer: it begins with the first submitted task and ends with the flow run.
        max_workers: Most calls at a time; by default 64, and as many as processors where the cluster is its own, which
            then has as many workers.

    Raises:
        InvalidInput: The number is none; Dask is not installed.
    """

    def __init__(self, address: str | None = None, *, max_workers: int | None = None) -> None:
        usual = CALLS if address else os.cpu_count() or 1
        super().__init__(usual if max_workers is None else max_workers)
        self._address, self._asked = address, max_workers
        self._opening = threading.Lock()
        self._cluster: _Cluster | None = None

    def fresh(self) -> DaskRunner:
        """Another one with the same options."""
        return DaskRunner(self._address, max_workers=self._asked)

    def carried(self, fn: Callable[..., Any], timeout: float | None, name: str) -> Callable[..., Any] | None:
        """What stands in for a task's function here: it has it called by a worker.

        Raises:
            InvalidInput: A worker would not find the function, or could not stop it in time.
        """
        if process_runner.loading.is_set():
            raise InvalidInput(f"task {name} is submitted while its file is loaded in a task's process")
        if timeout is not None and not inspect.iscoroutinefunction(inspect.unwrap(fn)):
            raise refuse(f"task {name}", "by a worker of Dask")
        return partial(self._call, place_of(fn, name), fn.__self__ if inspect.ismethod(fn) else None, timeout)

    def close(self) -> None:
        """Leave the cluster; one of its own ends. What still runs there ends CANCELLED."""
        super().close()
        with self._opening:
            if self._cluster is not None:
                self._cluster.close()

    def _call(self, place: Place, owner: Any, timeout: float | None, /, *args: Any, **kwargs: Any) -> State:
        order, task, run = order_of(place, owner, timeout, args, kwargs)
        with self._opening:
            if self._cluster is None:
                self._cluster = _Cluster(run, self._address, self.max_workers)
        return self._cluster.call(pickle.dumps((self._cluster.hello, order), PROTOCOL), run, task.id, task.name)


class _Cluster:
    """The connection to a scheduler, and the cluster where it is our own."""

    def __init__(self, run: FlowRun, address: str | None, workers: int) -> None:
        try:
            import dask
            import distributed
        except ImportError:
            raise InvalidInput("DaskRunner needs Dask: pip install 'orchestrator[dask]'") from None
        self._own: Any = None
        self.hello = pickle.dumps(hello_of(run), PROTOCOL)
        self._closed = False
        if address is None:
            # a task whose worker dies is not executed again behind our back
            with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
                self._own = distributed.LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address="127.0.0.1:0",
                    silence_logs=50,
                )
        self._client: Any = distributed.Client(address or self._own, set_as_default=False)

    def call(self, data: bytes, run: FlowRun, task_run_id: str, name: str) -> State:
        """Have a function called; the state that the call ended in."""
        from distributed.scheduler import KilledWorker

        topic, relay = f"orchestrator-{task_run_id}-{uuid7()}", Relay(run)
        self._client.subscribe_topic(topic, lambda event: relay.put(event[1]))
        state: State | None = None
        try:
            future = self._client.submit(execute, data, topic, key=topic, pure=False, retries=0)
            state = state_of(pickle.loads(future.result()), name)
        except KilledWorker:
            state = State(StateType.CRASHED, "", "the worker of Dask that had it died before the task ended")
        except Exception as error:  # the cluster's: the task's own are in what it ends with
            state = too_late() if self._closed else results.failure(error)
        finally:
            self._client.unsubscribe_topic(topic)
        relay.close(state)
        return state

    def close(self) -> None:
        """Leave; the cluster ends where it is our own."""
        self._closed = True
        self._client.close()
        if self._own is not None:
            self._own.close()
