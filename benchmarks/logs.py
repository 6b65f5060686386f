"""What log lines cost the flow that writes them, and how soon they can be read."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from .figures import Figure
from .stack import Stack, running

BAR = "10,000 lines at most 0.5 s, all readable at most 1 s later"
ROUNDS = 5
COUNT = 10_000


def run() -> Iterable[Figure]:
    """Each round is a process of its own."""
    samples: dict[str, list[float]] = {}
    with running() as stack:
        for _ in range(ROUNDS):
            for name, seconds in _round(stack):
                samples.setdefault(name, []).append(seconds)
    for name, taken in samples.items():
        yield Figure.of(f"logs_10000_{name}", taken, "s")


def _round(stack: Stack) -> Iterable[tuple[str, float]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.logs"], env=stack.flow_environment(),
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        name, seconds = line.split()
        yield name, float(seconds)


def main() -> None:
    """One round: prints ``name seconds`` lines."""
    import logging

    from orchestrator import context, flow, get_run_logger

    logging.getLogger().addHandler(logging.NullHandler())  # ten thousand lines need not be on the terminal

    @flow(name="bench-logs")
    def writes() -> str:
        run = context.flow_run()
        assert run is not None
        log = get_run_logger()
        for number in range(COUNT):
            log.info("line %d of many, about as long as lines of a log are: table=%s", number, "orders")
        return run.id

    start = time.perf_counter()
    run_id = writes()
    print("written", time.perf_counter() - start)
    print("readable_after", _readable(run_id))


def _readable(run_id: str) -> float:
    """Seconds until all lines can be read."""
    from orchestrator.client import Client

    client = Client.from_settings()
    start = time.perf_counter()
    last = {"flow_run_id": run_id, "search": f"line {COUNT - 1} of"}
    while not client.get("logs", last)["items"] and time.perf_counter() - start < 60:
        time.sleep(0.01)
    took = time.perf_counter() - start
    count = sum(1 for _ in client.pages("logs", {"flow_run_id": run_id, "limit": 200}))
    assert count == COUNT, f"{count} lines can be read"
    return took


if __name__ == "__main__":
    main()
