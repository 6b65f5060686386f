"""What a flow run keeps of its tasks, and that another attempt does not run them again."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import flow, masking, settings, task
from orchestrator.context import FlowRun
from orchestrator.engine.steps import drive, drive_async
from orchestrator.errors import InvalidInput
from orchestrator.flows import Flow, concluded, run_steps
from orchestrator.keeping import shelves as keeping
from orchestrator.results import State
from orchestrator.serializers import dumps, loads

Reports = Callable[..., list[dict[str, Any]]]
#: How often which call was run.
RAN: Counter[Any] = Counter()


@dataclass(frozen=True)
class Order:
    number: int


class Sink:
    """Keeps reports as the server gets them."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def put(self, item: Mapping[str, Any]) -> None:
        self.items.append(loads(dumps(item)))

    def flush(self, timeout: float) -> bool:
        return True


class Agent:
    """Executes attempts of one flow run in this process, as a child of an agent does; it is the server as well."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sink, self.number, self.calls = Sink(), 0, 0
        monkeypatch.setenv("ORCHESTRATOR_API_URL", "http://127.0.0.1:9")
        monkeypatch.setattr(keeping, "Client", lambda *arguments: self)

    def pages(self, path: str, params: Any) -> list[dict[str, Any]]:
        """The finished calls that the server would tell of."""
        self.calls += 1
        assert path == "flow-runs/the-run/kept-results"
        done = [item for item in self.sink.items if item.get("call_key") and item["result"] is not None]
        return [
            {
                "call_key": item["call_key"],
                "result": item["result"],
                "attempt": item.get("flow_attempt") if item.get("flow_run_id") == "the-run" else None,
            }
            for item in reversed(done)
        ]

    def attempt(self, called: Flow[..., Any], **parameters: Any) -> State:
        """The next attempt of the run."""
        self.number += 1
        run = FlowRun("the-run", called.name, "the run", parameters, settings.load(), self.sink, self.number,
                      supervised=True)  # fmt: skip
        run.keeping = called.keeping_of(run)
        with ExitStack() as stack:
            steps = run_steps(called, run, parameters, stack)
            state = asyncio.run(drive_async(steps)) if called.is_async else drive(steps)
            concluded(called, run, state)
        return state

    def ended(self, attempt: int) -> dict[str, tuple[str, str]]:
        """By task run of an attempt: the name of its state, and the message."""
        found = [item for item in self.sink.items if item.get("flow_attempt") == attempt]
        return {item["name"]: (item["state"]["name"], item["state"]["message"]) for item in found}

    def warnings(self) -> list[str]:
        return [item["message"] for item in self.sink.items if item["kind"] == "log" and item["level"] >= 30]


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Agent:
    RAN.clear()
    return Agent(monkeypatch)


@task
def step(name: Any, value: Any = None) -> Any:
    RAN[name] += 1
    return value


@task
def breaks(when: Any) -> None:
    if when:
        raise ValueError("on purpose")


@task
def large(text: str) -> str:
    RAN["large"] += 1
    return text


BROKEN: list[int] = []


def test_another_attempt_does_not_run_finished_tasks_again(agent: Agent) -> None:
    @flow
    def work() -> list[Any]:
        got = [step("a", 1), step("b", (1, Order(2))), step.submit("c").result()]
        breaks(not BROKEN)
        return [*got, step("d")]

    BROKEN.clear()
    assert agent.attempt(work).type == "FAILED"
    assert agent.calls == 0
    BROKEN.append(1)
    state = agent.attempt(work)
    assert state.result() == [1, (1, Order(2)), None, None]
    assert RAN == {"a": 1, "b": 1, "c": 1, "d": 1}
    assert agent.calls == 1
    ended = agent.ended(2)
    assert ended["step-0"] == ("Cached", "not run again: it completed in attempt 1")
    assert [name for name, _ in ended.values()] == ["Cached", "Cached", "Cached", "Completed", "Completed"]
    agent.attempt(work)
    assert agent.ended(3)["step-3"] == ("Cached", "not run again: it completed in attempt 2")
    assert agent.ended(3)["breaks-0"][0] == "Cached"
    assert sum(RAN.values()) == 4


def test_changed_inputs_run_anew(agent: Agent) -> None:
    inputs = iter([1, 2, 1])

    @flow
    def work() -> None:
        step(next(inputs))
        step("same", 5)

    for _ in range(3):
        agent.attempt(work)
    assert RAN == {1: 1, 2: 1, "same": 1}


def calling(called: Any) -> Flow[..., Any]:
    """A flow that calls one task."""

    @flow(name="work")
    def work() -> None:
        called()

    return work


def test_changed_code_runs_anew(agent: Agent) -> None:
    def one() -> None:
        RAN["one"] += 1

    def other() -> None:
        RAN["other"] += 1

    other.__qualname__, other.__module__ = one.__qualname__, one.__module__
    for fn in (one, one, other):
        agent.attempt(calling(task(fn)))
    assert RAN == {"one": 1, "other": 1}


def test_equal_calls_are_told_apart_by_their_number(agent: Agent) -> None:
    numbers = iter(range(100))

    @task
    def draw() -> int:
        return next(numbers)

    more = [3, 5]

    @flow
    def work() -> list[int]:
        return [draw() for _ in range(more.pop(0))]

    assert agent.attempt(work).result() == [0, 1, 2]
    assert agent.attempt(work).result() == [0, 1, 2, 3, 4]


def test_mapped_tasks_are_numbered_where_they_are_submitted(agent: Agent) -> None:
    @flow
    def work() -> list[Any]:
        gate = threading.Barrier(2)

        @task(persist_result=False)
        def hold() -> None:
            gate.wait(20)

        held = hold.submit()
        first = step.map([1, 2, 3, 3], 7)
        after = step.submit("after", first)
        gate.wait(20)
        held.result()
        return [*[future.result() for future in first], after.result()]

    expected = [7, 7, 7, 7, [7, 7, 7, 7]]
    assert agent.attempt(work).result() == agent.attempt(work).result() == expected
    assert RAN == {1: 1, 2: 1, 3: 2, "after": 1}


def test_tasks_in_tasks_and_methods_are_known_by_where_they_are_called(agent: Agent) -> None:
    @dataclass
    class Loader:
        table: str

        @task
        def load(self: Any, number: int) -> Any:
            RAN[self.table] += 1
            return step(f"{self.table} {number}", self.table)

    fails = [True, False]
    loaders: list[Any] = [Loader("a"), Loader("b")]

    @task
    def both() -> Any:
        found = [loader.load(1) for loader in loaders]
        breaks(fails.pop(0))
        return found

    @flow
    def work() -> Any:
        return both()

    assert agent.attempt(work).type == "FAILED"
    assert agent.attempt(work).result() == ["a", "b"]
    assert RAN == {"a": 1, "b": 1, "a 1": 1, "b 1": 1}


def test_async_flows_and_tasks(agent: Agent) -> None:
    @task
    async def later(number: int) -> int:
        RAN[number] += 1
        await asyncio.sleep(0)
        return number

    fails = [True, False]

    @flow
    async def work() -> list[int]:
        found = await asyncio.gather(*[later(number) for number in range(5)])
        breaks(fails.pop(0))
        return [*found, await later.submit(9)]

    assert agent.attempt(work).type == "FAILED"
    assert agent.attempt(work).result() == [0, 1, 2, 3, 4, 9]
    assert set(RAN.values()) == {1}


def test_finished_subflows_are_not_run_again_and_tasks_of_unfinished_ones_neither(agent: Agent) -> None:
    fails = [True, False]

    @flow
    def inner(name: str, last: bool) -> str:
        step(f"{name} 1", 4)
        if last:
            breaks(fails.pop(0))
        RAN[name] += 1
        return name

    @flow
    def work() -> list[str]:
        return [inner("x", False), inner("y", True)]

    assert agent.attempt(work).type == "FAILED"
    assert agent.attempt(work).result() == ["x", "y"]
    assert RAN == {"x 1": 1, "y 1": 1, "x": 1, "y": 1}
    told = [item["state"]["name"] for item in agent.sink.items if item["kind"] == "flow-run-state"]
    assert told == ["Completed", "Failed", "Cached", "Completed"]


@pytest.mark.parametrize("options", [{"durable": False}, {"persist_result": False}])
def test_a_flow_may_run_all_again(agent: Agent, options: dict[str, Any]) -> None:
    @flow(**options)
    def work() -> None:
        step("a")

    agent.attempt(work)
    agent.attempt(work)
    assert (RAN, agent.calls) == ({"a": 2}, 0)
    kept = [item for item in agent.sink.items if item.get("result")]
    assert bool(kept) is ("durable" in options)


def test_a_task_may_be_run_by_each_attempt(agent: Agent) -> None:
    again = step.with_options(persist_result=False)

    @flow
    def work() -> None:
        again("a")
        step("b")

    agent.attempt(work)
    agent.attempt(work)
    assert RAN == {"a": 2, "b": 1}
    assert agent.warnings() == []


def test_what_cannot_be_kept_is_warned_of_once_and_runs_again(agent: Agent) -> None:
    @flow
    def work() -> None:
        for number in range(3):
            step(number, threading.Lock())
        large("x" * 5000)

    assert agent.attempt(work).is_completed()
    lock, size = agent.warnings()
    assert lock == (
        "the result of task step was not kept: it has no JSON form that gives it back (a _thread.lock): "
        "see result_serializer"
    )
    assert size.startswith("the result of task large was not kept: it takes 5002 bytes")
    agent.attempt(work)
    assert set(RAN.values()) == {2}


def test_inputs_that_cannot_be_hashed_run_again_and_say_so(agent: Agent) -> None:
    @task
    def using(connection: Any) -> int:
        RAN["using"] += 1
        return 1

    @flow
    def work() -> int:
        return using(threading.Lock()) + using(threading.Lock())

    agent.attempt(work)
    assert agent.warnings() == []
    agent.attempt(work)
    [told] = agent.warnings()
    assert told.startswith("task using is run by each attempt: its arguments cannot be hashed, ")
    assert RAN["using"] == 4


def test_secrets_are_not_kept(agent: Agent) -> None:
    masking.here.add(["hunter2hunter2"])

    @flow
    def work() -> None:
        step("a", {"password": "hunter2hunter2"})

    agent.attempt(work)
    assert "hunter2" not in dumps(agent.sink.items).decode()
    assert agent.warnings() == ["the result of task step was not kept: it holds a secret"]


def test_pickles_lie_in_files_and_are_read_by_who_asks_for_them(agent: Agent, own_home: Path) -> None:
    pickled = step.with_options(result_serializer="pickle")
    plain = [False, False, True]

    @flow(result_serializer="pickle")
    def work() -> Any:
        return (step if plain.pop(0) else pickled)("a", {1, threading.Event})

    agent.attempt(work)
    [kept] = [item["result"] for item in agent.sink.items if item.get("result")]
    assert kept["serializer"] == "pickle"
    assert Path(kept["file"]).is_relative_to(own_home / "results")
    assert agent.attempt(work).result() == {1, threading.Event}
    assert RAN["a"] == 1
    agent.attempt(work)
    assert RAN["a"] == 2
    assert "result_serializer='pickle'" in agent.warnings()[0]


def test_a_pickle_that_was_changed_is_not_read(agent: Agent) -> None:
    pickled = step.with_options(result_serializer="pickle")
    work = flow(name="work")(lambda: pickled("a", 1))
    agent.attempt(work)
    [kept] = [item["result"] for item in agent.sink.items if item.get("result")]
    Path(kept["file"]).write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    agent.attempt(work)
    assert RAN["a"] == 2
    assert "was changed since" in agent.warnings()[0]


def test_what_is_asked_to_be_kept_goes_to_this_computer(agent: Agent) -> None:
    kept = step.with_options(persist_result=True)
    work = flow(name="work")(lambda: kept("a", ["x" * 5000, (1,)]))
    agent.attempt(work)
    assert agent.attempt(work).result() == ["x" * 5000, (1,)]
    assert RAN["a"] == 1


def test_tries_of_a_flow_run_finished_tasks_once(own_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RAN.clear()
    fails = [True, True, False]

    @flow
    def inner() -> Any:
        return step("inner", 3)

    @flow(retries=2)
    def work() -> Any:
        found = step("a", (1,)), inner()
        step(threading.Lock())
        breaks(fails.pop(0))
        return found

    assert work() == ((1,), 3)
    assert (RAN["a"], RAN["inner"], len(RAN)) == (1, 1, 5)


def test_runs_by_hand_tell_small_results_and_nothing_else(reports: Reports) -> None:
    @flow
    def work() -> None:
        step("a", {"rows": 3})
        step("b", "x" * 5000)
        step("c", threading.Lock())

    work()
    ended = [item for item in reports("task-run") if item["state"]["type"] == "COMPLETED"]
    assert [item.get("result") for item in ended] == [{"value": {"rows": 3}}, None, None]
    assert all("call_key" not in item for item in ended)
    assert reports("log") == []


def test_untracked_runs_keep_nothing() -> None:
    seen: list[Any] = []

    @flow
    def work() -> None:
        seen.append(keeping_of_present())
        step("a")

    work()
    assert seen == [None]


def keeping_of_present() -> Any:
    from orchestrator import context

    run = context.flow_run()
    assert run is not None
    return run.keeping


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"result_serializer": "yaml"}, "json or pickle"),
        ({"result_serializer": "pickle", "persist_result": False}, "keeps nothing"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], problem: str) -> None:
    for decorator in (task, flow):
        with pytest.raises(InvalidInput, match=problem):
            decorator(name="t", **options)(lambda: 1)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12), st.integers(0, 12), st.booleans())
def test_against_plain_python(calls: list[tuple[int, int]], crash: int, submits: bool) -> None:
    """The oracle: in all attempts together each call is run once, and what comes back is what it gave then."""
    with pytest.MonkeyPatch.context() as patch:
        agent = Agent(patch)
        given: list[tuple[int, int, int]] = []
        lock = threading.Lock()

        @task
        def number(left: int, right: int) -> tuple[int, int, int]:
            with lock:
                given.append((left, right, len(given)))
                return given[-1]

        first = [True]

        @flow
        def work() -> list[Any]:
            begun = []
            for place, call in enumerate(calls):
                if place == crash and first.pop():
                    raise KeyError("crash")
                begun.append(number.submit(*call).result() if submits else number(*call))
            return begun

        first[:] = [False, True]
        agent.attempt(work)
        assert agent.attempt(work).result() == [(*call, place) for place, call in enumerate(calls)]
        assert len(given) == len(calls)
