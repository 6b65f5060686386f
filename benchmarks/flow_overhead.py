"""What an empty flow run costs against a server: in a loop, as a subflow, as the first of a process."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .figures import Figure
from .stack import Stack, running

BAR = "an empty flow run at most 20 ms (200 in a loop), a subflow at most 3 ms, the first of a process at most 250 ms"
ROUNDS = 5
COUNT = 200


def run() -> Iterable[Figure]:
    """Each round is a process of its own."""
    samples: dict[str, list[float]] = {}
    with running() as stack:
        for _ in range(ROUNDS):
            for name, seconds in _round(stack):
                samples.setdefault(name, []).append(seconds * 1000)
    for name, taken in samples.items():
        yield Figure.of(f"flow_{name}", taken, "ms")


def _round(stack: Stack) -> Iterable[tuple[str, float]]:
    environment = {**stack.environment, "ORCHESTRATOR_API_URL": stack.api_url, "ORCHESTRATOR_API_KEY": stack.api_key}
    words = [sys.executable, "-m", "benchmarks.flow_overhead"]
    tree = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(words, env=environment, cwd=tree, capture_output=True, text=True, timeout=300, check=True)
    for line in done.stdout.splitlines():
        name, seconds = line.split()
        yield name, float(seconds)


def main() -> None:
    """One round: prints ``name seconds`` lines."""
    from orchestrator import flow

    @flow(name="bench-empty")
    def empty() -> None:
        pass

    @flow(name="bench-parent")
    def parent() -> None:
        for _ in range(COUNT):
            empty()

    start = time.perf_counter()
    empty()
    print("first", time.perf_counter() - start)
    works: dict[str, Callable[[], object]] = {"empty": lambda: [empty() for _ in range(COUNT)], "subflow": parent}
    for name, work in works.items():
        start = time.perf_counter()
        work()
        print(name, (time.perf_counter() - start) / COUNT)
        _settle()
        print(f"{name}_stored", (time.perf_counter() - start) / COUNT)


def _settle() -> None:
    """Wait until the server has stored all that was reported."""
    from orchestrator import reporting, settings

    reporting.process_reporter(settings.load()).flush(60)


if __name__ == "__main__":
    main()
