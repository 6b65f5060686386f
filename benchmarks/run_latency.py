"""How long it takes from asking for a run by REST to the first line of its flow."""

from __future__ import annotations

import time
from collections.abc import Iterable

from . import project
from .figures import Figure, percentile
from .stack import running

BAR = "REST create to the first line of user code: p50 at most 25 ms, p99 at most 100 ms"
WARM, ROUNDS = 5, 100


def run() -> Iterable[Figure]:
    """One run after another, on an idle agent that has the code cached."""
    with running([project.QUEUE]) as stack:
        client, deployment = stack.client(), project.deploy(stack, "note")
        create, first_line = [], []
        for number in range(WARM + ROUNDS):
            path = stack.home / f"note-{number}"
            began = time.monotonic()
            run_id = client.post(f"deployments/{deployment}/runs", {"parameters": {"path": str(path)}})["id"]
            answered = time.monotonic()
            reached = project.noted(path)
            project.ended(stack, run_id)
            if number >= WARM:
                create.append((answered - began) * 1000)
                first_line.append((reached - began) * 1000)
    yield Figure.of("run_create", create, "ms")
    yield Figure.of("run_latency_p50", first_line, "ms")
    yield Figure.of("run_latency_p99", first_line, "ms", percentile(first_line, 0.99))
