"""How much of the time of a deployment's slots runs use, when far more of them are asked for at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from orchestrator.clock import from_text

from . import project
from .figures import Figure
from .stack import Stack, running

BAR = (
    "200 runs of 1 s at once, 10 at a time by their deployment's limit: at least 90 % of slot-time used, never 11 held"
)
RUNS, LIMIT, SECONDS, AGENTS, SLOTS = 200, 10, 1.0, 2, 20


def run() -> Iterable[Figure]:
    """From the rows: from the first start to the last end, how much of ten slots' time runs were RUNNING."""
    with running() as stack:
        deployment = project.deploy(stack, "lasts")
        client = stack.client()
        client.patch(f"deployments/{deployment}", {"concurrency_limit": LIMIT})
        with _agents(stack), ThreadPoolExecutor(10) as pool:
            wanted = {"parameters": {"seconds": SECONDS}}
            list(pool.map(lambda _: client.post(f"deployments/{deployment}/runs", wanted), range(RUNS)))
            rows = _ended(stack, deployment)
    times = [(from_text(row["started"]), from_text(row["ended"])) for row in rows]
    whole = (max(end for _, end in times) - min(start for start, _ in times)).total_seconds()
    used = sum((end - start).total_seconds() for start, end in times)
    yield Figure.of("slot_use", [100 * used / (LIMIT * whole)], "%")
    yield Figure.of("slot_use_most_at_once", [float(_most_at_once(times))], "runs")


@contextmanager
def _agents(stack: Stack) -> Iterator[None]:
    words = ["agent", "start", "-q", project.QUEUE, "--limit", str(SLOTS)]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    agents = [
        subprocess.Popen([sys.executable, "-m", "orchestrator", *words], env=stack.flow_environment(), **quiet)
        for _ in range(AGENTS)
    ]
    try:
        yield
    finally:
        for agent in agents:
            agent.terminate()
        for agent in agents:
            agent.wait(60)


def _ended(stack: Stack, deployment: str) -> list[dict[str, Any]]:
    """All runs, once they have completed."""
    client, wanted = stack.client(), {"deployment_id": deployment, "state_type": "COMPLETED", "limit": 200}
    while len(found := list(client.pages("flow-runs", wanted))) < RUNS:
        time.sleep(0.5)
    return found


def _most_at_once(times: list[tuple[datetime, datetime]]) -> int:
    changes = sorted([(start, 1) for start, _ in times] + [(end, -1) for _, end in times])
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most
