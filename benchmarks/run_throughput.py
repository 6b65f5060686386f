"""How many trivial runs one agent brings to COMPLETED in a second, on the computer that the server is on as well."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from . import project
from .figures import Figure
from .stack import Stack, running

BAR = "200 trivial runs created at once, 10 at a time on one agent: at least 60 runs/s until all are COMPLETED"
RUNS, ROUNDS = 200, 3


def run() -> Iterable[Figure]:
    """Counted from the first request to the last end, as the server has it."""
    with running([project.QUEUE]) as stack:
        deployment = project.deploy(stack, "nothing")
        _burst(stack, deployment, 10)
        rates = [RUNS / _burst(stack, deployment, RUNS) for _ in range(ROUNDS)]
    yield Figure.of("run_throughput", rates, "runs/s")


def _burst(stack: Stack, deployment: str, number: int) -> float:
    """Seconds until ``number`` runs are COMPLETED."""
    client = stack.client()
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.post, f"deployments/{deployment}/runs", {}) for _ in range(number)]
        made = {call.result()["id"] for call in calls}
    unfinished = {"deployment_id": deployment, "state_type": ["SCHEDULED", "PENDING", "RUNNING"], "limit": 1}
    while client.get("flow-runs", unfinished)["items"]:
        time.sleep(0.05)
    took = time.monotonic() - began
    completed = client.pages("flow-runs", {"deployment_id": deployment, "state_type": "COMPLETED", "limit": 200})
    if missing := made - {item["id"] for item in completed}:
        raise RuntimeError(f"{len(missing)} runs did not complete")
    return took
