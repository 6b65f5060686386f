"""Doing the calls of a flow run in another process than the flow's: the receiving end of ``carrying``.

The process of a ProcessRunner, a worker on an agent and a worker of Dask differ in the way to the flow's process
alone, which is :class:`ToFlow`.
"""

from __future__ import annotations

import asyncio
import inspect
import pickle
import runpy
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol, TypeVar

from .. import context, results
from ..context import FlowRun, TaskRun
from ..engine import streams
from ..engine.runs import abandon, entered
from ..engine.steps import drive, drive_async
from ..engine.timeouts import Terminated
from ..errors import CodeNotLoadable, InvalidInput
from ..futures import wait
from ..observing import logs
from ..projects import loading
from ..reporting import Sink
from ..results import State
from ..states import StateType
from . import process_runner
from .carrying import BEGUN, END, PROTOCOL, Ended, Hello, Order, Place, function_of

T = TypeVar("T", covariant=True)

_MAIN, _ALIAS = b"__main__", "__mp_main__"


class SupportsGet(Protocol[T]):
    """A queue, as whoever reads it sees it."""

    def get(self) -> T:
        """Wait for the next."""


class ToFlow(Sink, Protocol):
    """The way to the flow's process; what is put into it is reported."""

    is_busy: bool

    @property
    def orders(self) -> SupportsGet[Order | None]:
        """Calls to do; None: there will be no more."""

    def send(self, kind: str, content: Any = None) -> None:
        """Send a message."""

    def ask(self, what: str, value: Any) -> Any:
        """Ask something."""


class RemoteFlowRun(FlowRun):
    """The flow run that this process works for, which lives in another one."""

    link: ToFlow

    def number(self, task_name: str) -> int:
        """Count with the flow's process."""
        return int(self.link.ask("number", task_name))


class RemoteTaskRun(TaskRun):
    """The task run of a call; its states are reported by the flow's process."""

    __slots__ = ()

    def put(self, *args: Any, **kwargs: Any) -> None:
        """Report nothing."""


class Worker:
    """Does the calls of one flow run.

    Args:
        link: To the flow's process.
        hello: What that said first.
        more: Of what it told of its run and the runs around that, what is otherwise here.
    """

    def __init__(self, link: ToFlow, hello: Hello, more: Mapping[str, Any] | None = None) -> None:
        self._link, self._hello, self._more = link, hello, more or {}
        self._run: FlowRun | None = None
        self._started: ModuleType | None = None

    def work(self) -> None:
        """Do calls until there are no more."""
        while (order := self._link.orders.get()) is not None:
            self._link.is_busy = True
            state = self._done(order)
            ended = ended_of(state, str(order.run["name"]))
            self._link.is_busy = False
            self._link.send(END, ended)
            if state.type is StateType.CRASHED:
                return

    def _done(self, order: Order) -> State:
        name, what = order.run["name"], "function"
        try:
            fn = self._function(order.place)
            run = self._flow_run()  # its parameters may be of classes beside the function
            what = "arguments"
            args, kwargs = self._unpickled(order.arguments)
        except Terminated:
            return State(StateType.CRASHED, "", "the process was told to end (SIGTERM)", details={"signal": "SIGTERM"})
        except BaseException as error:  # a module may do anything when it is loaded
            told = f"the {what} of {name} cannot be had in a task's process: {results.describe(error)}"
            return State(StateType.FAILED, "", told, details=results.details(error)).holding(
                error=CodeNotLoadable(told)
            )
        task = _task_run(order.run, run)
        self._link.send(BEGUN)
        with context.tags(*order.tags), context.running(run), logs.captured(run):
            return _call(run, task, fn, args, kwargs, order.timeout)

    def _flow_run(self) -> FlowRun:
        if self._run is None:
            self._run = self._made(self._hello.run)
        return self._run

    def _made(self, facts: dict[str, Any]) -> FlowRun:
        parent = facts.get("parent")
        found: dict[str, Any] = {"parameters": {}}
        for name, data in facts.items():
            if name != "parent":
                with suppress(Exception):  # a parameter whose class cannot be had here
                    found[name] = self._unpickled(data)
        sink = self._link if self._hello.tracked else None
        run = RemoteFlowRun(
            **{**found, **self._more}, sink=sink, parent=self._made(parent) if parent is not None else None
        )
        run.link = self._link
        return run

    def _function(self, place: Place) -> Callable[..., Any]:
        module = self._main() if place.module == "__main__" else loading.load_module(place.module, place.file)
        found: Any = module
        for part in place.qualname.split("."):
            found = getattr(found, part, None)
        function = function_of(found)
        if not callable(function):
            raise CodeNotLoadable(f"{place.module} has no {place.qualname} in a task's process")
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return streams.whole(function, inspect.isasyncgenfunction(function))
        return function  # type: ignore[no-any-return]

    def _unpickled(self, data: bytes) -> Any:
        if _MAIN in data and any(self._hello.main):
            self._main()
        return pickle.loads(data)

    def _main(self) -> ModuleType:
        """What was started with the flow, loaded under another name, as :mod:`multiprocessing` does."""
        if self._started is not None:
            return self._started
        name, file = self._hello.main
        process_runner.loading.set()
        try:
            found = runpy.run_module(name, run_name=_ALIAS) if name else runpy.run_path(file, run_name=_ALIAS)
        finally:
            process_runner.loading.clear()
        main = ModuleType(_ALIAS)
        main.__dict__.update(found)
        self._started = sys.modules["__main__"] = sys.modules[_ALIAS] = main
        return main


def _call(
    run: FlowRun,
    task: TaskRun,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    timeout: float | None,
) -> State:
    is_async = inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn)
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        fn = streams.whole(fn, is_async)
    steps = entered(task, fn, args, kwargs, timeout)
    try:
        state = asyncio.run(drive_async(steps)) if is_async else drive(steps)
        while run.pending:  # what the task submitted and did not wait for
            wait(run.pending)
    except BaseException as error:  # what ends a process ends the task, and its state was made
        state = task.state or State(StateType.CRASHED, "", results.describe(error), details=results.details(error))
        abandon(run, "the task that submitted it was ended")
    finally:
        if run.runner is not None:
            run.runner.close()
            run.runner = None
    return state


def ended_of(state: State, name: str) -> Ended:
    """The end of a call, with as much of its content as gets through."""
    content = state.result(raise_on_failure=False)
    try:
        data = pickle.dumps(content, PROTOCOL)
        if not state.is_completed():
            pickle.loads(data)  # exceptions with constructors of their own are made, and cannot be made anew
    except Exception as error:
        if state.is_completed():
            told = f"the result of {name}, a {type(content).__name__}, cannot be sent from its process"
            return ended_of(results.failure(InvalidInput(f"{told}: {results.describe(error)}")), name)
        data = b""
    return Ended(state.type, state.name, state.message, state.at, state.details, data)


def _task_run(facts: dict[str, Any], run: FlowRun) -> TaskRun:
    task = RemoteTaskRun.__new__(RemoteTaskRun)
    for name, value in facts.items():
        setattr(task, name, value)
    task.flow_run, task.parent, task.state = run, None, None
    return task
