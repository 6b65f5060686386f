"""Generated graphs of tasks, spread over agents by a CeleryRunner, do what plain Python says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import task_graphs
from tests.agents import System, system
from tests.task_graphs import Node, Recorded, Seen, check, graphs, to_json

#: Graphs of one run, and runs.
GRAPHS, RUNS = 6, 3

FLOWS = """

from orchestrator import CeleryRunner


@flow(task_runner=CeleryRunner(2, prefetch=4))
def spread(batch: list) -> list:
    return [[[asdict(run) for run in runs] for runs in seen(drive(from_json(nodes)))] for nodes in batch]


@flow(task_runner=CeleryRunner(2, prefetch=4))
async def spread_async(batch: list) -> list:
    found = []
    for nodes in batch:
        states = seen(await drive_async(from_json(nodes)))
        found.append([[asdict(run) for run in runs] for runs in states])
    return found
"""


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    with system(tmp_path, database_url, redis_url) as found:
        text = Path(task_graphs.__file__).read_text("utf-8")
        (found.project / "flows.py").write_text(text + FLOWS)
        yield found


def recorded(served: System, run_id: str) -> dict[str, Recorded]:
    return {
        task["id"]: Recorded(task["state"]["name"], task["upstream"], task["parent_id"])
        for task in served.client.pages("task-runs", {"flow_run_id": run_id, "limit": 200})
    }


@pytest.mark.parametrize("is_async", [False, True])
def test_graphs_of_tasks_do_what_plain_python_says(served: System, is_async: bool) -> None:
    deployment = served.deploy("spread_async" if is_async else "spread")
    with served.agent("--limit", "2"), served.agent("--limit", "2"):

        @settings(max_examples=RUNS, suppress_health_check=list(HealthCheck), deadline=None)
        @given(st.lists(graphs(is_async), min_size=GRAPHS, max_size=GRAPHS))
        def holds(batch: list[list[Node]]) -> None:
            run = served.end_of(served.run(deployment, batch=[to_json(nodes) for nodes in batch]), 120)
            assert run["state"]["type"] == "COMPLETED", run["state"]
            known, count = recorded(served, run["id"]), 0
            for nodes, found in zip(batch, run["result"]["value"], strict=True):
                count += check(nodes, [[Seen(**one) for one in runs] for runs in found], known)
            assert count == len(known)

        holds()
