"""Generated graphs of tasks do what plain Python says, with the runners of one computer.

``ORCHESTRATOR_TEST_EXAMPLES`` is how many graphs each runner gets.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from distributed import LocalCluster
from hypothesis import HealthCheck, given, settings

from orchestrator import DaskRunner, ProcessRunner, ThreadRunner
from orchestrator.engine.task_runners import TaskRunner
from orchestrator.observing import tracking
from tests.task_graphs import Link, Node, Recorded, check, foretell, graphs, runs_async, runs_sync

EXAMPLES = int(os.environ.get("ORCHESTRATOR_TEST_EXAMPLES", "30"))

#: How each runner is made, and the share of all examples that it gets.
RUNNERS = {
    "threads": (ThreadRunner, 1),
    "one thread": (lambda: ThreadRunner(max_workers=1), 1),
    "processes": (lambda: ProcessRunner(max_workers=2), 10),
}


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.items: list[Mapping[str, Any]] = []

    def put(self, item: Mapping[str, Any]) -> None:
        self.items.append(item)

    def flush(self, timeout: float) -> bool:
        return True

    def recorded(self) -> dict[str, Recorded]:
        return {
            str(item["id"]): Recorded(item["state"]["name"], item["upstream"], item["parent_id"])
            for item in self.items
            if item["kind"] == "task-run"
        }


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    found = Kept()
    monkeypatch.setattr(tracking, "sink", lambda settings: found)
    return found


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as found:
        yield found.scheduler_address


def holds_for(make: Callable[[], TaskRunner], examples: int, is_async: bool, kept: Kept) -> None:
    main: Any = (runs_async if is_async else runs_sync).with_options(task_runner=make(), validate_parameters=False)

    @settings(max_examples=max(1, examples), suppress_health_check=list(HealthCheck), deadline=None)
    @given(graphs(is_async))
    def holds(nodes: list[Node]) -> None:
        kept.items.clear()
        before = threading.active_count()
        found = asyncio.run(main(nodes)) if is_async else main(nodes)
        recorded = kept.recorded()
        assert check(nodes, found, recorded) == len(recorded)
        assert threading.active_count() <= before + 64

    holds()


@pytest.mark.parametrize("runner", list(RUNNERS))
@pytest.mark.parametrize("is_async", [False, True])
def test_graphs_of_tasks_do_what_plain_python_says(runner: str, is_async: bool, kept: Kept) -> None:
    make, share = RUNNERS[runner]
    holds_for(make, EXAMPLES // share, is_async, kept)


@pytest.mark.parametrize("is_async", [False, True])
def test_so_they_do_on_a_cluster_of_dask(cluster: str, is_async: bool, kept: Kept) -> None:
    holds_for(lambda: DaskRunner(cluster), EXAMPLES // 5, is_async, kept)


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
