"""Processes that the tasks of a flow run in, as the flow sees them: started, given calls, listened to, ended.

The engine makes the states of a task run in the flow's own process, as ever; the step that enters user code is what
travels. A process is given one call at a time. What it has to report (log lines, task runs and subflows of its own)
comes back over the same link and goes out through the flow run's sink, so each is told once and in order.

The other end is :mod:`orchestrator.task_runners.process_child`; what crosses is
:mod:`orchestrator.task_runners.carrying`'s.
"""

from __future__ import annotations

import inspect
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import connection
from pathlib import Path
from typing import Any

from .. import results
from ..context import FlowRun, TaskRun
from ..engine.task_runners import ThreadRunner
from ..errors import InvalidInput, TimedOut
from ..futures import TaskFuture
from ..results import State
from ..serializers import loads
from ..states import TERMINAL, StateType
from .carrying import BEGUN, END, PROTOCOL, Order, Place, hello_of, order_of, place_of, state_of, too_late

#: Kinds of message beside those of :mod:`orchestrator.task_runners.carrying`. To a process: a call; what it asked for.
#: And from one: a report; a question.
ORDER, ANSWER, PUT, ASK = "order", "answer", "put", "ask"
#: Seconds beyond a time-out before a process is killed, so that its own alarm, which lets code clean up, may be first.
SLACK = 2.0
#: Seconds that a process gets to end when its flow run has ended.
GRACE = 5.0

_GUARD = 'call the flow below `if __name__ == "__main__":`'
#: Set in a process while it loads what was started with the flow.
loading = threading.Event()
#: Our own modules are loaded before the project's folders are searched: those may hold a ``queue.py``.
_CHILD = (
    "import sys; sys.path[:] = [*filter(None, sys.path)]; "
    "sys.path += [one for one in {path!r} if one not in sys.path]; "
    "from orchestrator.task_runners.process_child import main; main({handle})"
)


class ProcessRunner(ThreadRunner):
    """Runs tasks in processes of this computer: for code that computes, and for code that may bring its process down.

    Processes are fresh interpreters, started as they are needed and used again until the flow run ends. Arguments and
    results have to be such as can be pickled, and a task has to stand at the top of a module or of a class there.

    Args:
        max_workers: Most processes; as many as processors when not given.

    Raises:
        InvalidInput: The number is none.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__(max_workers if max_workers is not None else os.cpu_count() or 1)
        self._hello: bytes | None = None
        self._guard = threading.Lock()
        self._free: list[_Process] = []
        self._busy: dict[_Process, str] = {}
        self._open: dict[str, TaskFuture[Any]] = {}
        self._ended = False

    def fresh(self) -> ProcessRunner:
        """Another one with as many processes."""
        return ProcessRunner(self.max_workers)

    def carried(self, fn: Callable[..., Any], timeout: float | None, name: str) -> Callable[..., Any] | None:
        """What stands in for a task's function here: it has it called in one of the processes.

        Raises:
            InvalidInput: Another process would not find the function.
        """
        if loading.is_set():
            raise InvalidInput(f"task {name} is submitted while its file is loaded in a task's process: {_GUARD}")
        return partial(self._call, place_of(fn, name), fn.__self__ if inspect.ismethod(fn) else None, timeout)

    def submit(self, future: TaskFuture[Any]) -> None:
        """Begin a future when a process is free."""
        self._open[future.task_run_id] = future
        future.add_done_callback(self._forget)
        super().submit(future)

    def close(self) -> None:
        """End the processes. What still runs in one, as the flow ended before it, is told to end, then killed."""
        super().close()
        with self._guard:
            self._ended = True
            busy = dict(self._busy)
        for process in busy:
            process.terminate()
        futures = [future for run_id in busy.values() if (future := self._open.get(run_id)) is not None]
        _await(futures)
        for process in busy:
            process.kill()
        _await(futures)
        with self._guard:
            free, self._free = self._free, []
        for process in free:
            process.let_go()
        for process in free:
            process.wait()

    def _forget(self, future: TaskFuture[Any]) -> None:
        self._open.pop(future.task_run_id, None)

    def _call(self, place: Place, owner: Any, timeout: float | None, /, *args: Any, **kwargs: Any) -> State:
        order, task, run = order_of(place, owner, timeout, args, kwargs)
        process = self._borrow(run, task)
        if process is None:
            return too_late()
        relay = Relay(run)
        state: State | None = None
        try:
            state = process.call(order, relay, task.name)
        finally:
            self._give_back(process, state is not None and state.type is not StateType.CRASHED)
        if self._ended and not state.is_completed():
            state = too_late()
        if not process.is_alive:
            relay.close(state)
        return state

    def _give_back(self, process: _Process, is_sound: bool) -> None:
        with self._guard:
            del self._busy[process]
            keep = is_sound and process.is_alive and not self._ended
            if keep:
                self._free.append(process)
        if not keep:
            process.kill()
            process.let_go()

    def _borrow(self, run: FlowRun, task: TaskRun) -> _Process | None:
        """A process for one call; None: the flow run has ended."""
        with self._guard:
            if self._hello is None:
                self._hello = pickle.dumps(hello_of(run), PROTOCOL)
            if not self._ended and self._free:
                process = self._free.pop()
                self._busy[process] = task.id
                return process
        if self._ended:
            return None
        process = _Process(self._hello)
        with self._guard:
            if not self._ended:
                self._busy[process] = task.id
                return process
        process.kill()
        return None


class Relay:
    """Reports what a process tells, and remembers what of it has not ended.

    Args:
        run: The flow run whose process this is.
    """

    def __init__(self, run: FlowRun) -> None:
        self._run = run
        self._open: dict[str, dict[str, Any]] = {}

    def put(self, data: bytes) -> None:
        """Report an item, given as JSON."""
        if self._run.sink is None:
            return
        item: dict[str, Any] = loads(data)
        if item["kind"] in _ENDS:
            if StateType(item["state"]["type"]) in TERMINAL:
                self._open.pop(item["id"], None)
            else:
                self._open[item["id"]] = item
        self._run.sink.put(item)

    def answer(self, what: str, value: Any) -> Any:
        """Answer a question: the number of a task run, or whether all reports have arrived."""
        if what == "number":
            return self._run.number(value)
        return self._run.sink is None or self._run.sink.flush(value)

    def close(self, state: State) -> None:
        """Report as ended what began in a process that is no more."""
        kind = StateType.CRASHED if state.type is StateType.CRASHED else StateType.CANCELLED
        told = State(kind, "", state.message, details=state.details).write()
        for item in self._open.values():
            if item["kind"] == "task-run":
                self._run.put({**item, "state": told})
            else:
                attempt = item.get("attempt", 1)
                ended = {"kind": "flow-run-state", "id": item["id"], "attempt": attempt, "state": told, "result": None}
                self._run.put(ended)
        self._open.clear()


_ENDS = frozenset({"task-run", "flow-run", "flow-run-state"})


class _Process:
    """One process. A call belongs to one thread; the other methods may be called by any."""

    def __init__(self, hello: bytes) -> None:
        self._link, theirs = connection.Pipe()
        try:
            self._process = _start(theirs.fileno())
        except BaseException:
            self._link.close()
            raise
        finally:
            theirs.close()
        self._hello: bytes | None = hello

    @property
    def is_alive(self) -> bool:
        """Whether it can be given another call."""
        return self._process.poll() is None

    def call(self, order: Order, relay: Relay, name: str) -> State:
        """Have a function called; the state that the call ended in."""
        try:
            return self._exchange(order, relay, name)
        except (EOFError, OSError):
            return self._crash()

    def _exchange(self, order: Order, relay: Relay, name: str) -> State:
        if self._hello is not None:
            self._link.send_bytes(self._hello)
            self._hello = None
        self._link.send_bytes(pickle.dumps((ORDER, order), PROTOCOL))
        deadline: float | None = None
        while self._link.poll(None if deadline is None else max(0.0, deadline - time.monotonic())):
            kind, content = pickle.loads(self._link.recv_bytes())
            if kind == END:
                return state_of(content, name)
            if kind == PUT:
                relay.put(content)
            elif kind == ASK:
                self._link.send_bytes(pickle.dumps((ANSWER, relay.answer(*content)), PROTOCOL))
            elif kind == BEGUN and order.timeout is not None:
                deadline = time.monotonic() + order.timeout + SLACK
        self.kill()
        return results.failure(TimedOut(f"task run {name} took longer than {order.timeout:g} s"))

    def _crash(self) -> State:
        self.wait()
        code = self._process.returncode
        if code >= 0:
            message = f"the task's process exited with code {code} before the task ended"
            return State(StateType.CRASHED, "", message, details={"exit_code": code})
        known = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        why = ": killed from outside, or out of memory" if known == "SIGKILL" else ""
        message = f"the task's process was ended by {known}{why}"
        return State(StateType.CRASHED, "", message, details={"signal": known})

    def terminate(self) -> None:
        """Tell its code to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self.wait()

    def let_go(self) -> None:
        """It ends when it has nothing to do."""
        with suppress(OSError):
            self._link.close()

    def wait(self) -> None:
        """Wait until it has ended; one that does not is killed."""
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _start(handle: int) -> subprocess.Popen[bytes]:
    path = [*filter(None, sys.path), str(Path(__file__).resolve().parent.parent)]
    options: dict[str, Any] = {"pass_fds": (handle,)}
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        options = {"close_fds": False}
    program = _CHILD.format(path=path, handle=handle)
    return subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.DEVNULL, **options)


def _await(futures: list[TaskFuture[Any]]) -> None:
    deadline = time.monotonic() + GRACE
    for future in futures:
        future.wait(max(0.0, deadline - time.monotonic()))
