"""Calls of tasks that travel to another process of the same program: what is sent of them, and how they end.

Both ends are of one program, so they speak in pickles; functions are named, not sent.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from .. import context, results
from ..context import FlowRun, TaskRun
from ..errors import InvalidInput
from ..results import State
from ..states import StateType

PROTOCOL = 5
#: What the other end says of a call: user code was entered; it ended.
BEGUN, END = "begun", "end"
#: What of a run stays in the flow's process.
_FLOW_STAYS = frozenset({"sink", "runner", "parent", "pending", "ended", "keeping", "waits"})
_TASK_STAYS = frozenset({"flow_run", "parent", "state"})
_PLAIN = (str, int, float, list, type(None))


@dataclass(frozen=True)
class Place:
    """Where a process finds a function: a name in a module."""

    module: str
    qualname: str
    file: str


@dataclass(frozen=True)
class Hello:
    """What a process is told first.

    Attributes:
        path: Of modules, as ``sys.path``.
        main: What was started: the name of a module (``python -m``) or of a file; both empty in a console.
        run: The flow run: its fields, each a pickle; that which it lies in under ``parent``.
        tracked: Whether reports are wanted.
    """

    path: list[str]
    arguments: list[str]
    main: tuple[str, str]
    run: dict[str, Any]
    tracked: bool


@dataclass(frozen=True)
class Order:
    """One call: of what, for which task run, with which arguments (a pickle of ``(args, kwargs)``)."""

    place: Place
    run: dict[str, Any]
    tags: frozenset[str]
    timeout: float | None
    arguments: bytes


@dataclass(frozen=True)
class Ended:
    """How a call ended: a state, and the pickle of what was returned or raised; empty: it cannot be sent."""

    type: StateType
    name: str
    message: str
    at: datetime
    details: dict[str, Any] | None
    content: bytes


class OtherProcess(Exception):
    """The traceback of an exception that was raised in another process; its cause there."""

    def __str__(self) -> str:
        return f"in the task's process:\n{self.args[0]}"


def place_of(fn: Callable[..., Any], name: str) -> Place:
    """Where another process finds the function of the task ``name``.

    Raises:
        InvalidInput: It would not.
    """
    function = getattr(fn, "__func__", fn)
    module, qualname = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    found: Any = sys.modules.get(module)
    file = str(getattr(found, "__file__", None) or "")
    if module == "__main__" and not Path(file).is_file():
        raise InvalidInput(f"task {name} cannot run in another process: it was written in a console; put it in a file")
    for part in qualname.split("."):
        found = getattr(found, part, None)
    if function_of(found) is not function:
        problem = f"task {name} cannot run in another process: {module}.{qualname} is not found there"
        raise InvalidInput(f"{problem}; define it at the top of a module, by its own name")
    return Place(module, qualname, file)


def function_of(found: Any) -> Any:
    """The plain function below a task, a method, or neither."""
    function = getattr(found, "fn", found)
    return getattr(function, "__func__", function)


def hello_of(run: FlowRun) -> Hello:
    """What a process that has the same files as this one is told of a flow run."""
    main = sys.modules["__main__"]
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    started = (spec.name if spec is not None else "", str(Path(file).resolve()) if file else "")
    return Hello(sys.path, sys.argv, started, run_facts(run), run.sink is not None)


def order_of(
    place: Place, owner: Any, timeout: float | None, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Order, TaskRun, FlowRun]:
    """The call of the present task run, with that and the flow run that it is in.

    Args:
        owner: The object of a method; None: it is none.

    Raises:
        InvalidInput: The arguments cannot be sent.
    """
    task, run = context.task_run(), context.flow_run()
    assert task is not None
    assert run is not None
    given = args if owner is None else (owner, *args)
    order = Order(place, task_facts(task), context.present_tags(), timeout, pickled((given, kwargs), task))
    return order, task, run


def run_facts(run: FlowRun, without: Collection[str] = (), most: int | None = None) -> dict[str, Any]:
    """What another process is told of a flow run: its fields, each a pickle; the run around it under ``parent``.

    Args:
        without: Fields that are another thing there.
        most: Bytes beyond which a field is left out.
    """
    found: dict[str, Any] = {}
    for item in fields(run):
        if item.name not in _FLOW_STAYS and item.name not in without and not item.name.startswith("_"):
            with suppress(Exception):  # a parameter may be anything, and is of no use there then
                data = pickle.dumps(getattr(run, item.name), PROTOCOL)
                if most is None or len(data) <= most:
                    found[item.name] = data
    found["parent"] = run_facts(run.parent, without, most) if run.parent is not None else None
    return found


def task_facts(task: TaskRun) -> dict[str, Any]:
    """What another process is told of a task run: such fields as are plain."""
    found = {name: getattr(task, name, None) for name in TaskRun.__slots__ if name not in _TASK_STAYS}
    return {name: value if isinstance(value, _PLAIN) else None for name, value in found.items()}


def pickled(arguments: tuple[tuple[Any, ...], dict[str, Any]], task: TaskRun) -> bytes:
    """The arguments of a call, to be sent. Raises InvalidInput where they cannot be."""
    try:
        return pickle.dumps(arguments, PROTOCOL)
    except Exception as error:  # classes bring code of their own for it
        told = results.describe(error)
        raise InvalidInput(f"the arguments of {task.name} cannot be sent to another process: {told}") from error


def state_of(ended: Ended, name: str) -> State:
    """The state that a call ended in elsewhere, with what it returned or raised."""
    state = State(ended.type, ended.name, ended.message, ended.at, ended.details)
    if not ended.content:
        return state
    try:
        content = pickle.loads(ended.content)
    except Exception as error:  # as above
        told = results.describe(error)
        return results.failure(InvalidInput(f"the result of {name} cannot be read from its process: {told}"))
    if state.is_completed():
        return state.holding(content)
    trace = (ended.details or {}).get("traceback")
    if not isinstance(content, BaseException):  # a state that the code made, with data of its own
        return state.holding(content)
    if trace and content.__cause__ is None:
        content.__cause__ = OtherProcess(trace)
    return state.holding(error=content)


def too_late() -> State:
    """The state of a call that its flow run did not wait for."""
    return State(StateType.CANCELLED, "", "its process was ended: the flow run ended before it did")
