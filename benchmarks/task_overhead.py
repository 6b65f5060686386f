"""What a task costs the flow that runs it, and how soon the server knows of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from .figures import Figure
from .stack import Stack, running

BAR = (
    "1,000 tasks called at most 0.15 s; submitted, mapped, gathered at most 0.4 s each; "
    "all visible by REST at most 1 s after the flow's end"
)
ROUNDS = 5
COUNT = 1000


def run() -> Iterable[Figure]:
    """Each round is a process of its own; within it the four ways take turns."""
    samples: dict[str, list[float]] = {}
    with running() as stack:
        for _ in range(ROUNDS):
            for name, seconds in _round(stack):
                samples.setdefault(name, []).append(seconds)
    for name, taken in samples.items():
        yield Figure.of(f"tasks_1000_{name}", taken, "s")


def _round(stack: Stack) -> Iterable[tuple[str, float]]:
    words = [sys.executable, "-m", "benchmarks.task_overhead"]
    tree = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        words, env={**stack.environment, "ORCHESTRATOR_API_URL": stack.api_url, "ORCHESTRATOR_API_KEY": stack.api_key},
        cwd=tree, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    for line in done.stdout.splitlines():
        name, seconds = line.split()
        yield name, float(seconds)


def main() -> None:
    """One round: prints ``name seconds`` lines."""
    from orchestrator import flow, task

    @task
    def nothing(number: int) -> int:
        return number

    @task
    async def nothing_async(number: int) -> int:
        return number

    @flow(name="bench-called")
    def called() -> None:
        for number in range(COUNT):
            nothing(number)

    @flow(name="bench-submitted")
    def submitted() -> None:
        for future in [nothing.submit(number) for number in range(COUNT)]:
            future.result()

    @flow(name="bench-mapped")
    def mapped() -> None:
        for future in nothing.map(range(COUNT)):
            future.result()

    @flow(name="bench-gathered")
    async def gathered() -> None:
        await asyncio.gather(*[nothing_async(number) for number in range(COUNT)])

    works: dict[str, Callable[[], object]] = {
        "called": called,
        "submitted": submitted,
        "mapped": mapped,
        "gathered": lambda: asyncio.run(gathered()),
    }
    for name, work in works.items():
        start = time.perf_counter()
        work()
        print(name, time.perf_counter() - start)
        if name == "called":
            print("visible_after", _visible())
        _settle()


def _visible() -> float:
    """Seconds until the newest flow run, its end and all its task runs are readable."""
    from orchestrator.client import Client

    client = Client.from_settings()
    start = time.perf_counter()
    while time.perf_counter() - start < 60:
        found = client.get("flow-runs", {"limit": 1})["items"]
        if found and found[0]["flow"]["name"] == "bench-called" and found[0]["state"]["type"] == "COMPLETED":
            tasks = list(client.pages("task-runs", {"flow_run_id": found[0]["id"], "limit": 200}))
            if len(tasks) == COUNT and all(one["state"]["type"] == "COMPLETED" for one in tasks):
                break
        time.sleep(0.01)
    return time.perf_counter() - start


def _settle() -> None:
    from orchestrator import reporting, settings

    reporting.process_reporter(settings.load()).flush(60)


if __name__ == "__main__":
    main()
