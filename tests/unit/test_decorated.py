"""What flows and tasks share: functions of every shape, names of runs, versions, options."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import Flow, Task, context, flow, task
from orchestrator.engine.decorated import NAME_MAX
from orchestrator.errors import InvalidInput
from orchestrator.projects import builds
from orchestrator.projects.loading import load_flow

Reports = Callable[..., list[dict[str, Any]]]


class Warehouse:
    name = "w"

    def __init__(self, rows: int) -> None:
        self.rows = rows

    @task
    def count(self, more: int = 0) -> int:
        return self.rows + more

    @flow
    def load(self, times: int) -> int:
        return sum(self.count.map(range(times)).result())

    @classmethod
    @task
    def above(cls, x: int) -> tuple[str, int]:
        return cls.name, x

    @task
    @classmethod
    def below(cls, x: int) -> tuple[str, int]:
        return cls.name, x

    @staticmethod
    @task
    def static_above(x: int) -> int:
        return x

    @task
    @staticmethod
    def static_below(x: int) -> int:
        return x

    @flow
    @classmethod
    def flow_below(cls, x: int = 1) -> tuple[str, int]:
        return cls.name, x

    @classmethod
    @flow
    def flow_above(cls, x: int = 1) -> tuple[str, int]:
        return cls.name, x

    @flow
    @staticmethod
    def flow_static(x: int) -> int:
        return x

    @task
    @classmethod
    async def waits(cls, x: int) -> tuple[str, int]:
        return cls.name, x

    @task
    @classmethod
    def streams(cls, most: int) -> Any:
        yield from ((cls.name, number) for number in range(most))


class Small(Warehouse):
    name = "s"


@pytest.mark.parametrize(("owner", "name"), [(Warehouse, "w"), (Small, "s"), (Small(3), "s")])
def test_class_and_static_methods_in_either_order(owner: Any, name: str, reports: Reports) -> None:
    @flow
    def outer() -> Any:
        called = [owner.above(1), owner.below(2), owner.flow_below(x="3"), owner.flow_above("4")]
        static = [owner.static_above(1), owner.static_below(2), owner.flow_static("3")]
        submitted = [owner.below.submit(5).result(), owner.static_below.submit(6).result()]
        mapped = owner.below.with_options(name="other").map([7, 8]).result()
        return called, static, submitted, mapped, list(owner.streams(1)), owner.waits.submit(9).result()

    called, static, submitted, mapped, streamed, waited = outer()
    assert called == [(name, 1), (name, 2), (name, 3), (name, 4)]
    assert static == [1, 2, 3]
    assert submitted == [(name, 5), 6]
    assert mapped == [(name, 7), (name, 8)]
    assert (streamed, waited) == ([(name, 0)], (name, 9))
    assert {item["parameters"].get("cls") for item in reports("flow-run")} == {None}


def test_methods_are_bound(reports: Reports) -> None:
    assert Small(3).load("2") == 7
    assert Warehouse.count(Small(4), 1) == 5  # type: ignore[arg-type]
    assert Small(3).count.with_options(retries=1)(2) == 5
    assert isinstance(Warehouse.count, Task)


def test_functions_of_every_shape(reports: Reports) -> None:
    def shape(only: int, /, both: int = 2, *rest: int, named: int, other: int = 5, **more: int) -> Any:
        return only, both, rest, named, other, more

    for made in (flow(shape), task(shape)):
        assert made(1, named=3) == (1, 2, (), 3, 5, {})
        assert made(1, 7, 8, 9, named=3, other=4, extra=6) == (1, 7, (8, 9), 3, 4, {"extra": 6})
        assert made(1, named=3, only=4) == (1, 2, (), 3, 5, {"only": 4})  # the name of a positional-only one is free
    assert flow(shape)("1", "7", "8", named="3", extra="6") == (1, 7, (8,), 3, 5, {"extra": 6})  # type: ignore[arg-type]
    assert task(shape).submit(1, named=2).result() == (1, 2, (), 2, 5, {})

    @flow
    def takes_common_names(self: int, fn: int, return_state: int, wait_for: int, args: int, kwargs: int) -> Any:
        return self, fn, return_state, wait_for, args, kwargs

    assert takes_common_names(self=1, fn=2, return_state=3, wait_for=4, args=5, kwargs=6) == (1, 2, 3, 4, 5, 6)


def test_recursive_flows_and_tasks_that_call_tasks(reports: Reports) -> None:
    @flow
    def factorial(number: int) -> int:
        return 1 if number <= 1 else number * factorial(number - 1)

    @task
    def fibonacci(number: int) -> int:
        return number if number < 2 else fibonacci(number - 1) + fibonacci.submit(number - 2).result()

    @flow
    def outer() -> int:
        return fibonacci(5)

    assert factorial(4) == 24
    begun = reports("flow-run")
    assert [item["parent_flow_run_id"] for item in begun] == [None, *(item["id"] for item in begun[:3])]
    assert outer() == 5
    ended = [item for item in reports("task-run") if item["state"]["name"] == "Completed"]
    assert len(ended) == 15
    assert len([item for item in ended if item["parent_id"] is None]) == 1
    assert fibonacci(4) == 3  # outside of any flow


def test_names_of_runs_from_parameters_and_what_runs(reports: Reports) -> None:
    @task(task_run_name="{x} of {task_name} in {flow_run_name} of {flow_name}: {flow_run_id}")
    def step(x: int) -> None:
        pass

    @task(task_run_name=lambda parameters: f"by {parameters['x']}", name="named")  # type: ignore[misc]
    def by_function(x: int) -> None:
        pass

    @flow(name="Load", flow_run_name="{flow_name} {table} {now:%Y}")
    def load(table: str) -> None:
        step(3)
        by_function(4)

    load("t")
    (run,) = reports("flow-run")
    assert run["name"].startswith("Load t 20")
    assert [item["name"] for item in reports("task-run")[::2]] == [
        f"3 of step in {run['name']} of Load: {run['id']}",
        "by 4",
    ]
    given = flow(name="Parameter", flow_run_name="{now} {flow_name}")(lambda now, flow_name: None)
    given("my own", "x")
    assert reports("flow-run")[-1]["name"] == "my own x"
    with pytest.raises(InvalidInput, match="cannot be filled"):
        step.with_options(task_run_name="{nothing}")(1)


def test_very_long_names_and_any_letters(reports: Reports) -> None:
    @task(task_run_name="{text}")
    def step(text: str) -> None:
        pass

    @flow(name="Überflüssig 🛫 流れ", flow_run_name="{text}")
    def load(text: str) -> None:
        step(text)

    load("é" * 5000)
    (run,) = reports("flow-run")
    assert len(run["name"]) == len(reports("task-run")[0]["name"]) == NAME_MAX
    assert run["name"].endswith("é...")
    assert run["flow"] == "Überflüssig 🛫 流れ"
    assert context.flow_run() is None


def test_descriptions_are_docstrings() -> None:
    @task
    def step() -> None:
        """Does one thing."""

    assert step.description == "Does one thing."
    assert Flow(step.fn).description == "Does one thing."
    assert step.__doc__ == "Does one thing."


def test_a_version_is_given_or_comes_from_the_source(tmp_path: Path) -> None:
    file = tmp_path / "versioned_flow.py"
    file.write_text("from orchestrator import flow\n\n@flow\ndef main():\n    pass\n")
    first = load_flow(tmp_path, "versioned_flow.py:main").version
    assert first == f"sha-{hashlib.sha256(file.read_bytes()).hexdigest()[:12]}"
    assert Flow(test_functions_of_every_shape, version="1.2").version == "1.2"
    assert Flow(eval("lambda: 1"), name="nowhere").version == ""


def test_a_build_renews_a_version_from_the_source_and_no_other() -> None:
    facts = builds.FlowFacts("flow.py:main", "main", "", {"properties": {}}, version="sha-222222222222")
    made = builds.compose(facts, "d", {})
    assert made.version == "sha-222222222222"
    newer = builds.FlowFacts("flow.py:main", "main", "", {"properties": {}}, version="sha-333333333333")
    assert builds.compose(newer, "d", {}, made).version == "sha-333333333333"
    assert builds.compose(newer, "d", {"version": "2"}, made).version == "2"
    assert builds.compose(newer, "d", {}, builds.compose(facts, "d", {"version": "7"})).version == "7"


def test_all_options_can_be_laid_over() -> None:
    @flow(name="a", version="1")
    def one() -> int:
        """Text."""
        return 1

    options: dict[str, Any] = {
        "name": "b", "description": "d", "version": "2", "flow_run_name": "r", "retries": 2, "retry_delay_seconds": 3,
        "retry_jitter_factor": 0.5, "timeout_seconds": 9, "validate_parameters": False, "log_prints": True,
        "persist_result": False,
    }  # fmt: skip
    other = one.with_options(**options)
    assert (other.name, other.description, other.version, other.flow_run_name) == ("b", "d", "2", "r")
    assert (other.policy.retries.most, other.policy.timeout, other.validate_parameters) == (2, 9.0, False)
    assert (other.log_prints, other.persist_result) == (True, False)
    again = other.with_options(name="c")
    assert (again.name, again.version, again.policy) == ("c", "2", other.policy)
    assert (one.name, one.description, one.version) == ("a", "Text.", "1")
    with pytest.raises(TypeError, match="nonsense"):
        one.with_options(nonsense=1)


@task
def at_the_top() -> int:
    return 1


def test_what_can_be_found_by_its_name_is_pickled_by_it() -> None:
    assert pickle.loads(pickle.dumps(at_the_top)) is at_the_top
    assert pickle.loads(pickle.dumps(Warehouse.count)) is Warehouse.count
