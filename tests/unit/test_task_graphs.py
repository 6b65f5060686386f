"""Generated graphs of tasks: states, results and recorded edges are those that plain Python works out.

``ORCHESTRATOR_TEST_EXAMPLES`` is how many graphs each runner gets.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import ProcessRunner, ThreadRunner, allow_failure, flow, quote, task, unmapped
from orchestrator.observing import tracking
from orchestrator.results import State

EXAMPLES = int(os.environ.get("ORCHESTRATOR_TEST_EXAMPLES", "30"))


class Refused(Exception):
    """What a node that fails raises."""


@dataclass
class Held:
    """A dataclass with something in it."""

    item: Any


@dataclass(frozen=True)
class Link:
    """A node before, and how a node takes it: whether it may have failed, and what it is handed over in."""

    to: int
    allowed: bool = False
    shape: str = "bare"


@dataclass(frozen=True)
class Node:
    """One run, or a map of several."""

    kind: str
    fails: bool = False
    takes: tuple[Link, ...] = ()
    waits: tuple[Link, ...] = ()
    width: int = 0
    is_async: bool = False
    within: tuple[bool, ...] = ()


def numbers_in(value: Any) -> int:
    """The sum of all numbers in a value; an exception counts for one million."""
    if isinstance(value, BaseException):
        return 1_000_000
    if isinstance(value, Held):
        return numbers_in(value.item)
    if isinstance(value, dict):
        return sum(map(numbers_in, value.values()))
    if isinstance(value, (list, tuple)):
        return sum(map(numbers_in, value))
    return int(value)


def work(number: int, element: int, fails: bool, values: tuple[Any, ...]) -> int:
    if fails:
        raise Refused(f"node {number}")
    return 1 + number + element + numbers_in(values)


@task
def node(number: int, element: int, fails: bool, *values: Any) -> int:
    return work(number, element, fails, values)


@task
async def node_async(number: int, element: int, fails: bool, *values: Any) -> int:
    await asyncio.sleep(0)
    return work(number, element, fails, values)


@task
def nests(number: int, within: tuple[bool, ...], fails: bool, *values: Any) -> int:
    """Runs tasks inside a task: submits all but the first, which it calls."""
    later = [node.submit(number, place, one) for place, one in enumerate(within) if place]
    first = node(number, 0, within[0]) if within else 0
    return work(number, 0, fails, values) + first + sum(future.result() for future in later)


# --- the oracle -----------------------------------------------------------------------------------------------------


@dataclass
class Expected:
    """What becomes of one run."""

    state: str
    value: int = 0
    upstream: list[tuple[int, int]] = field(default_factory=list)
    inside: list[str] = field(default_factory=list)


def foretell(nodes: list[Node]) -> list[list[Expected]]:
    """The runs of each node, without running anything."""
    told: list[list[Expected]] = []
    for number, one in enumerate(nodes):
        told.append([_foretell_run(number, element, one, told) for element in range(one.width or 1)])
    return told


def _foretell_run(number: int, element: int, one: Node, told: list[list[Expected]]) -> Expected:
    links = [*one.takes, *one.waits]
    upstream = [(link.to, place) for link in links if link.shape != "quoted" for place in range(len(told[link.to]))]
    upstream = list(dict.fromkeys(upstream))
    blocking = [link.to for link in links if not link.allowed and link.shape != "quoted"]
    if any(run.state != "Completed" for to in blocking for run in told[to]):
        return Expected("UpstreamFailed", upstream=upstream)
    inside = ["Failed" if fails else "Completed" for fails in one.within] if one.kind == "nest" else []
    if one.fails or "Failed" in inside:
        return Expected("Failed", upstream=upstream, inside=inside)
    value = 1 + number + element
    for link in one.takes:
        if link.shape != "quoted":
            value += sum(run.value if run.state == "Completed" else 1_000_000 for run in told[link.to])
    value += sum(1 + number + place for place in range(len(one.within))) if one.kind == "nest" else 0
    return Expected("Completed", value, upstream, inside)


# --- the real thing -------------------------------------------------------------------------------------------------


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[Mapping[str, Any]] = []

    def put(self, item: Mapping[str, Any]) -> None:
        self.items.append(item)

    def flush(self, timeout: float) -> bool:
        return True


def handed(link: Link, handles: list[list[Any]]) -> Any:
    """What a node is given of a node before."""
    runs = handles[link.to]
    value: Any = runs[0] if len(runs) == 1 else list(runs)
    if link.shape == "quoted":
        return quote(0)
    shaped = {"bare": value, "list": [value], "dict": {"a": (value,)}, "dataclass": Held(value)}[link.shape]
    return allow_failure(shaped) if link.allowed else shaped


def begin(number: int, one: Node, handles: list[list[Any]]) -> Any:
    """Begin a node; what it gives: a state, a coroutine of one, futures."""
    values = [handed(link, handles) for link in one.takes]
    options = {"wait_for": [handed(link, handles) for link in one.waits]} if one.waits else {}
    if one.kind == "nest":
        return [nests.submit(number, one.within, one.fails, *values, **options)]
    which: Any = node_async if one.is_async else node
    if one.kind == "map":
        return which.map(number, range(one.width), one.fails, *map(unmapped, values), **options)
    if one.kind == "submit":
        return [which.submit(number, 0, one.fails, *values, **options)]
    return which(number, 0, one.fails, *values, return_state=True, **options)


def ended(handles: list[list[Any]]) -> list[list[State]]:
    return [[one if isinstance(one, State) else one.wait(60) for one in runs] for runs in handles]


@flow
def runs_sync(nodes: list[Any]) -> Any:
    handles: list[list[Any]] = []
    for number, one in enumerate(nodes):
        begun = begin(number, one, handles)
        handles.append([begun] if isinstance(begun, State) else list(begun))
    return quote(ended(handles))


@flow
async def runs_async(nodes: list[Any]) -> Any:
    handles: list[list[Any]] = []
    for number, one in enumerate(nodes):
        begun = begin(number, one, handles)
        if asyncio.iscoroutine(begun):
            begun = await begun
        handles.append([begun] if isinstance(begun, State) else list(begun))
    for future in [one for runs in handles for one in runs if not isinstance(one, State)]:
        try:
            await future
        except Exception:
            pass
    return quote(ended(handles))


# --- graphs ---------------------------------------------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn, is_async: bool) -> list[Node]:
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 7))):
        links = st.builds(
            Link,
            st.integers(0, number - 1),
            st.booleans(),
            st.sampled_from(["bare", "bare", "list", "dict", "dataclass", "quoted"]),
        )
        some = st.lists(links, max_size=3).map(tuple) if number else st.just(())
        kind = draw(st.sampled_from(["call", "submit", "map", "nest"]))
        waits = draw(some)
        made = Node(
            kind,
            draw(st.sampled_from([False, False, False, True])),
            draw(some),
            tuple(replace(link, shape="bare" if link.shape == "quoted" else link.shape) for link in waits),
            draw(st.integers(1, 3)) if kind == "map" else 0,
            is_async if kind == "call" else kind != "nest" and draw(st.booleans()),
            tuple(draw(st.lists(st.sampled_from([False, False, True]), max_size=3))) if kind == "nest" else (),
        )
        nodes.append(made)
    return nodes


#: How each runner is made, and the share of all examples that it gets.
RUNNERS = [
    pytest.param(ThreadRunner, 1, id="threads"),
    pytest.param(lambda: ThreadRunner(max_workers=1), 1, id="one thread"),
    pytest.param(lambda: ProcessRunner(max_workers=2), 10, id="processes"),
]


def check(nodes: list[Node], states: list[list[State]], items: list[Mapping[str, Any]]) -> None:
    told = foretell(nodes)
    assert [[state.name for state in runs] for runs in states] == [[one.state for one in runs] for runs in told]
    last = {str(item["id"]): item for item in items if item["kind"] == "task-run"}
    for runs, expected in zip(states, told, strict=True):
        for state, one in zip(runs, expected, strict=True):
            got = state.result(raise_on_failure=False)
            if one.state == "Completed":
                assert got == one.value
            elif one.state == "Failed":
                assert isinstance(got, Refused)
            item = last[state.run_id]
            assert item["state"]["name"] == one.state
            assert item["upstream"] == [states[to][place].run_id for to, place in one.upstream]
            inside = [item["state"]["name"] for item in last.values() if item["parent_id"] == state.run_id]
            assert sorted(inside) == sorted(one.inside) or "Failed" in one.inside
    assert len(last) == sum(
        1 + len([i for i in last.values() if i["parent_id"] == s.run_id]) for r in states for s in r
    )


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    found = Kept()
    monkeypatch.setattr(tracking, "sink", lambda settings: found)
    return found


@pytest.mark.parametrize(("make", "share"), RUNNERS)
@pytest.mark.parametrize("is_async", [False, True])
def test_graphs_of_tasks_do_what_plain_python_says(make: Any, share: int, is_async: bool, kept: Kept) -> None:
    main: Any = (runs_async if is_async else runs_sync).with_options(task_runner=make(), validate_parameters=False)

    @settings(max_examples=max(1, EXAMPLES // share), suppress_health_check=list(HealthCheck))
    @given(graphs(is_async))
    def holds(nodes: list[Node]) -> None:
        kept.items.clear()
        before = threading.active_count()
        states = asyncio.run(main(nodes)) if is_async else main(nodes)
        check(nodes, states, kept.items)
        assert threading.active_count() <= before + 64

    holds()


def test_the_oracle_tells_a_failure_and_what_comes_of_it() -> None:
    """The oracle itself, by hand."""
    nodes = [
        Node("call"), Node("submit", fails=True), Node("map", takes=(Link(0),), width=2),
        Node("call", takes=(Link(1),)), Node("submit", takes=(Link(1, True), Link(2)), waits=(Link(3, True),)),
    ]  # fmt: skip
    told = foretell(nodes)
    assert [[one.state for one in runs] for runs in told] == [
        ["Completed"], ["Failed"], ["Completed"] * 2, ["UpstreamFailed"], ["Completed"],
    ]  # fmt: skip
    assert [one.value for one in told[2]] == [4, 5]
    assert told[4][0].value == 5 + 1_000_000 + 9
    assert told[4][0].upstream == [(1, 0), (2, 0), (2, 1), (3, 0)]
