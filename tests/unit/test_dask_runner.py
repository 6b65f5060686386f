"""What every runner of tasks promises, of a cluster of Dask; and what is its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from distributed import LocalCluster

from orchestrator import DaskRunner, flow
from orchestrator.engine.task_runners import TaskRunner
from orchestrator.errors import InvalidInput

from . import runner_tasks as do
from .test_runners_alike import (  # noqa: F401
    test_asynchronous_tasks,
    test_each_state_is_told_once,
    test_failures,
    test_order_comes_from_the_data,
    test_states_that_tasks_return,
    test_what_a_task_raised_is_raised_to_who_asks,
)

Reports = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster that is none of a flow's own."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as found:
        yield found.scheduler_address


@pytest.fixture
def runner(cluster: str) -> TaskRunner:
    return DaskRunner(cluster)


def test_what_tasks_say_arrives_in_order_before_their_ends(runner: TaskRunner, reports: Reports) -> None:
    @flow(task_runner=runner)
    def work() -> None:
        do.says.submit(100).result()

    work()
    lines = [item["message"] for item in reports("log") if item["message"].startswith("line")]
    assert lines == [f"line {number}" for number in range(100)]
    assert [item["state"]["name"] for item in reports("task-run")] == ["Pending", "Running", "Completed"]


def test_a_cluster_of_its_own_and_a_worker_that_dies(reports: Reports) -> None:
    @flow(task_runner=DaskRunner(max_workers=1))
    def work() -> tuple[str, int]:
        state = do.die.submit("killed").wait()
        assert state is not None
        return f"{state.name}: {state.message}", do.add.submit(1, 2).result()

    assert work() == ("Crashed: the worker of Dask that had it died before the task ended", 3)
    assert [item["name"] for item in reports("task-run") if item["state"]["type"] == "CRASHED"] == ["die-0"]


def test_what_it_refuses(runner: TaskRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    @flow(task_runner=runner)
    def work() -> None:
        with pytest.raises(InvalidInput, match="cannot be enforced by a worker of Dask"):
            do.add.with_options(timeout_seconds=1).submit(1, 2)

    work()
    for number in (0, True):
        with pytest.raises(InvalidInput, match="it has to be 1 or more"):
            DaskRunner(max_workers=number)

    @flow(task_runner=DaskRunner())
    def lacks() -> None:
        do.add.submit(1, 2).result()

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InvalidInput, match=r"pip install 'orchestrator\[dask\]'"):
        lacks()
