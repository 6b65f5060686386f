"""Taking down what a flow calls, in place of running it.

While a flow is traced (:func:`tracing`), its tasks and subflows ask :func:`present` first, and give back what the
tracer does.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .. import context
from ..asking.drawn import UNKNOWN
from ..engine.decorated import Decorated
from ..futures import TaskFuture
from ..results import Completed, State
from .nodes import DATA, FLOW, QUESTION, TASK, WAIT, Edge, Node
from .placeholders import Placeholder

#: Tracers at work; empty nearly always, which is all that a task looks at then.
active: list[Tracer] = []
_present: ContextVar[Tracer | None] = ContextVar("orchestrator_tracer", default=None)

#: For tasks and flows that name no value to draw with.
NO_VALUE: Any = object()
_DEPTH = 12
_SHARED = (type(None), bool, type, type(NotImplemented), type(Ellipsis))


def present() -> Tracer | None:
    """The tracer of the flow that the present code belongs to; a thread of no run's belongs to the only one."""
    found = _present.get()
    if found is not None:
        return found
    return active[0] if len(active) == 1 and context.flow_run() is None else None


class Tracer:
    """Takes down calls as nodes, and what they are given as edges.

    Args:
        is_async: Whether the flow is, so that what it asks people is awaited.
    """

    def __init__(self, is_async: bool = False) -> None:
        self._is_async = is_async
        self.nodes: list[Node] = []
        self.edges: dict[tuple[str, str], Edge] = {}
        #: id of a value -> the value, so that the id stays its own, and the node that it comes from
        self._values: dict[int, tuple[Any, frozenset[str]]] = {}
        self._texts: dict[str, frozenset[str]] = {}
        #: Nodes that have ended when the flow goes on, and that nothing takes anything from yet.
        self._done: set[str] = set()
        #: Where the flow waited last for people, and how many nodes there were then.
        self._question: tuple[str, int] | None = None

    def call(self, traced: Decorated[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A task or a subflow is called."""
        return_state, wait_for = traced._split(kwargs)
        node = self._node(traced, [args, kwargs], wait_for)
        self._done.add(node.id)
        value = self._value(traced, node)
        given = self._state(node, value) if return_state else value
        if inspect.isasyncgenfunction(traced.fn):
            return _one_later(given)
        if inspect.isgeneratorfunction(traced.fn):
            return iter((given,))
        return _later(given) if traced.is_async else given

    def submit(self, traced: Decorated[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> TaskFuture[Any]:
        """A task is submitted."""
        _, wait_for = traced._split(kwargs)
        return self._future(traced, self._node(traced, [args, kwargs], wait_for))

    def map(self, traced: Decorated[Any, Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[TaskFuture[Any]]:
        """A task is mapped: one node; as many futures as there would be, or one when nobody knows."""
        _, wait_for = traced._split(kwargs)
        times = next((len(one) for one in (*args, *kwargs.values()) if isinstance(one, (list, tuple, set, range))), 0)
        node = self._node(traced, [args, kwargs], wait_for, times)
        return [self._future(traced, node) for _ in range(times or 1)]

    def answer(self, what: str, default: Any) -> Any:
        """The flow asks people: it waits for what has gone before, and what comes waits for it."""
        node = self._ask(what)
        if default is UNKNOWN:
            return self._stand_in(node)
        self.keep(default, frozenset([node.id]))
        return _later(default) if self._is_async else default

    def messages(self, what: str) -> Any:
        """The flow receives messages: one of them."""
        return _Messages(self, what)

    def _ask(self, what: str) -> Node:
        node = Node(f"n{len(self.nodes)}", what, QUESTION)
        self.nodes.append(node)
        for source in sorted(self._done, key=_number):
            self.edges[source, node.id] = Edge(source, node.id, WAIT)
        self._after_question(node)
        self._done = {node.id}
        self._question = (node.id, len(self.nodes))
        return node

    def _after_question(self, node: Node) -> None:
        """What begins after a question waits for it, by what it takes or by itself."""
        if self._question is None:
            return
        question, since = self._question
        sources = [source for source, target in self.edges if target == node.id]
        if not any(source == question or _number(source) >= since for source in sources):
            self.edges[question, node.id] = Edge(question, node.id, WAIT)

    def keep(self, value: Any, origin: frozenset[str]) -> None:
        """Remember where a value comes from, if it can be told from others."""
        if not isinstance(value, _SHARED) and not (isinstance(value, int) and -6 < value < 257):
            self._values[id(value)] = (value, origin)

    def origins(self, value: Any, depth: int = 0) -> frozenset[str]:
        """The nodes that a value, or something in it, comes from."""
        if isinstance(value, Placeholder):
            self._texts[str(value)] = value.origin
            return value.origin
        if isinstance(value, (TaskFuture, State)):
            node = value.task_run_id if isinstance(value, TaskFuture) else value.run_id
            return frozenset([node]) if node else frozenset()
        found = self._values.get(id(value), (None, frozenset()))[1]
        if isinstance(value, str):
            return found.union(*(origin for text, origin in self._texts.items() if text in value))
        if depth > _DEPTH:
            return found
        return found.union(*(self.origins(one, depth + 1) for one in _inside(value)))

    def _node(self, traced: Decorated[Any, Any], given: list[Any], wait_for: Any, times: int = 1) -> Node:
        node = Node(f"n{len(self.nodes)}", traced.name, FLOW if traced.kind == "flow" else TASK, times)
        self.nodes.append(node)
        for kind, sources in ((DATA, self.origins(given)), (WAIT, self.origins(wait_for))):
            for source in sorted(sources, key=_number):
                self.edges.setdefault((source, node.id), Edge(source, node.id, kind))
                self._done.discard(source)
        self._after_question(node)
        return node

    def _value(self, traced: Decorated[Any, Any], node: Node) -> Any:
        value = getattr(traced, "viz_return_value", NO_VALUE)
        if value is NO_VALUE:
            return self._stand_in(node)
        self.keep(value, frozenset([node.id]))
        return value

    def _stand_in(self, node: Node) -> Placeholder:
        made = Placeholder(node.name, [node.id])
        self._texts[str(made)] = made.origin
        return made

    def _state(self, node: Node, value: Any) -> State:
        return Completed(data=value).holding(run_id=node.id)

    def _future(self, traced: Decorated[Any, Any], node: Node) -> TaskFuture[Any]:
        future: TaskFuture[Any] = TaskFuture(node.id, node.name)
        future.resolve(self._state(node, self._value(traced, node)))
        return future


class _Messages:
    """One message, and no more; each that is asked for beside the loop."""

    def __init__(self, tracer: Tracer, what: str) -> None:
        self._tracer, self._what = tracer, what
        self._is_over = False

    def next(self) -> Any:
        return self._tracer.answer(self._what, UNKNOWN)

    def __iter__(self) -> _Messages:
        return self

    def __next__(self) -> Any:
        if self._is_over:
            raise StopIteration
        self._is_over = True
        return self.next()

    def __aiter__(self) -> _Messages:
        return self

    async def __anext__(self) -> Any:
        if self._is_over:
            raise StopAsyncIteration
        self._is_over = True
        return self.next()


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """While the ``with`` lasts, tasks and flows that are called here are taken down by ``tracer``, and do not run."""
    before = _present.set(tracer)
    active.append(tracer)
    try:
        yield
    finally:
        active.remove(tracer)
        _present.reset(before)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    if hasattr(value, "value") and type(value).__name__ in {"unmapped", "quote", "allow_failure"}:
        return [value.value]
    return []


def _number(node: str) -> int:
    return int(node[1:])


async def _later(value: Any) -> Any:
    return value


async def _one_later(value: Any) -> Any:
    yield value
