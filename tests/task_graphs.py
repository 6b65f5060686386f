"""Graphs of tasks that are generated, run, and compared with what plain Python works out: states, results, edges.

Its text is also the code of a deployment: there, graphs come as JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hypothesis import strategies as st

from orchestrator import allow_failure, flow, quote, task, unmapped
from orchestrator.results import State


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


def drive(nodes: list[Node]) -> list[list[State]]:
    """Run a graph in a flow that is ordinary."""
    handles: list[list[Any]] = []
    for number, one in enumerate(nodes):
        begun = begin(number, one, handles)
        handles.append([begun] if isinstance(begun, State) else list(begun))
    return ended(handles)


async def drive_async(nodes: list[Node]) -> list[list[State]]:
    """Run a graph in a flow that is ``async``."""
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
    return ended(handles)


@flow
def runs_sync(nodes: list[Any]) -> Any:
    return quote(seen(drive(nodes)))


@flow
async def runs_async(nodes: list[Any]) -> Any:
    return quote(seen(await drive_async(nodes)))


@dataclass(frozen=True)
class Seen:
    """What became of one run."""

    run_id: str
    state: str
    value: Any
    #: Name of the class of what it raised.
    error: str


def seen(states: list[list[State]]) -> list[list[Seen]]:
    return [[_seen(state) for state in runs] for runs in states]


def _seen(state: State) -> Seen:
    got = state.result(raise_on_failure=False)
    is_error = isinstance(got, BaseException)
    return Seen(str(state.run_id), state.name, None if is_error else got, type(got).__name__ if is_error else "")


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


def to_json(nodes: list[Node]) -> list[dict[str, Any]]:
    return [asdict(one) for one in nodes]


def from_json(nodes: list[dict[str, Any]]) -> list[Node]:
    def links(given: list[dict[str, Any]]) -> tuple[Link, ...]:
        return tuple(Link(**link) for link in given)

    return [
        Node(**{**one, "takes": links(one["takes"]), "waits": links(one["waits"]), "within": tuple(one["within"])})
        for one in nodes
    ]


@dataclass(frozen=True)
class Recorded:
    """What the server was told of one run: the last of it."""

    state: str
    upstream: list[str]
    parent: str | None


def check(nodes: list[Node], found: list[list[Seen]], recorded: Mapping[str, Recorded]) -> int:
    """Compare a graph that was run with what is foretold; returns how many runs there were."""
    told = foretell(nodes)
    assert [[run.state for run in runs] for runs in found] == [[one.state for one in runs] for runs in told]
    inside: dict[str | None, list[str]] = {}
    for item in recorded.values():
        inside.setdefault(item.parent, []).append(item.state)
    count = 0
    for runs, expected in zip(found, told, strict=True):
        for run, one in zip(runs, expected, strict=True):
            if one.state == "Completed":
                assert run.value == one.value
            elif one.state == "Failed":
                assert run.error == "Refused"
            item = recorded[run.run_id]
            assert item.state == one.state
            assert item.upstream == [found[to][place].run_id for to, place in one.upstream]
            below = inside.get(run.run_id, [])
            assert sorted(below) == sorted(one.inside) or "Failed" in one.inside
            count += 1 + len(below)
    return count
