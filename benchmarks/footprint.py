"""How much room things take: the process of a long flow, and a server that has nothing to do."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

from .figures import Figure
from .stack import Stack, running

BAR = (
    "a flow of 10,000 tasks takes at most 150 MB in its process; the whole idle stack (Postgres, Redis, API, beat, "
    "services, agent) at most 400 MB, shared pages counted by share, and 3 % of a core"
)
ROUNDS = 3
COUNT = 10_000
#: Seconds until the stack has come to rest, with the connections closed that were needed, and over which its use of
#: the processor is taken.
REST, WATCHED = 70.0, 30.0


def run() -> Iterable[Figure]:
    """Flows in processes of their own; then the stack is left alone."""
    with running(["bench"]) as stack:
        yield Figure.of("flow_10000_peak", [_flow(stack) for _ in range(ROUNDS)], "MB")
        time.sleep(REST)
        parts = _parts(stack)
        before, began = _used(parts), time.perf_counter()
        time.sleep(WATCHED)
        share = (_used(parts) - before) / (time.perf_counter() - began) * 100
        yield Figure.of("stack_idle_memory", [sum(_memory(part) for part in parts)], "MB")
        yield Figure.of("stack_idle_processor", [share], "% of a core")


def _flow(stack: Stack) -> float:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.footprint"], env=stack.flow_environment(),
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return float(done.stdout)


def _parts(stack: Stack) -> list[psutil.Process]:
    top = psutil.Process(stack.pid)
    return [top, *top.children(recursive=True)]


def _memory(part: psutil.Process) -> float:
    try:
        return float(part.memory_full_info().pss) / 1e6
    except psutil.NoSuchProcess:
        return 0.0  # one that Postgres had for a moment, or whose connection was closed


def _used(parts: list[psutil.Process]) -> float:
    times = [part.cpu_times() for part in parts if part.is_running()]
    return float(sum(one.user + one.system for one in times))


def main() -> None:
    """One flow: prints the megabytes that its process took at most."""
    import resource

    from orchestrator import flow, task

    @task
    def nothing(number: int) -> int:
        return number

    @flow(name="bench-long")
    def long() -> None:
        for number in range(COUNT):
            nothing(number)

    long()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)


if __name__ == "__main__":
    main()
