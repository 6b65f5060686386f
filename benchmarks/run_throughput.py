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
        left = {call.result()["id"] for call in calls}
    query = {"deployment_id": deployment, "limit": 200}
    while left:
        states = {item["id"]: item["state"]["type"] for item in client.get("flow-runs", query)["items"]}
        failed = {run_id for run_id in left if states.get(run_id) in {"FAILED", "CRASHED", "CANCELLED"}}
        if failed:
            raise RuntimeError(f"{len(failed)} runs did not complete")
        left -= {run_id for run_id in left if states.get(run_id) == "COMPLETED"}
        time.sleep(0.05)
    return time.monotonic() - began
