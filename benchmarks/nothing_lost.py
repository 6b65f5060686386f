"""What the server knows of flows that ran at full speed, and of those after which it was killed and started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from .figures import Figure
from .stack import Stack, running

BAR = (
    "of 5,000 tasks at full speed all are known, in order; of 1,000 tasks, 10,000 log lines and 20,000 events after "
    "which the server is killed within 0.5 s all are known once it is back: nothing is lost"
)
FULL_SPEED, TASKS, LINES, EVENTS = 5000, 1000, 10_000, 20_000
#: Seconds from the end of the flow to the end of the server.
AFTER = 0.5


def run() -> Iterable[Figure]:
    """One flow a figure, each in a process of its own."""
    with running() as stack:
        began = time.perf_counter()
        run_id, _ = _flow(stack, "tasks", FULL_SPEED)
        known = _tasks(stack, run_id)
        yield Figure.of("lost_at_full_speed", [FULL_SPEED - len(set(known))], "task runs")
        yield Figure.of("out_of_order", [sum(a > b for a, b in pairwise(known))], "task runs")
        yield Figure.of("full_speed_took", [time.perf_counter() - began], "s")
        for kind, count, unit in (
            ("tasks", TASKS, "task runs"),
            ("lines", LINES, "lines"),
            ("events", EVENTS, "events"),
        ):
            run_id, process = _flow(stack, kind, count, stays=True)
            time.sleep(AFTER)
            stack.kill()
            process.communicate("")  # the end of its process, which waits no longer than it has to
            stack.start()
            subprocess.run(
                [sys.executable, "-m", "orchestrator", "report", "flush"],
                env=stack.flow_environment(), capture_output=True, timeout=300, check=True,
            )  # fmt: skip
            found = {"tasks": _tasks, "lines": _lines, "events": _events}[kind](stack, run_id)
            yield Figure.of(f"lost_{kind}_after_kill", [count - len(set(found))], unit)
            yield Figure.of(f"doubled_{kind}_after_kill", [len(found) - len(set(found))], unit)


def _flow(stack: Stack, kind: str, count: int, stays: bool = False) -> tuple[str, subprocess.Popen[str]]:
    """Run a flow; its id, and its process, which goes on until its input ends where it ``stays``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.nothing_lost", kind, str(count)],
        env=stack.flow_environment(), cwd=Path(__file__).resolve().parent.parent,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    if not stays:
        process.communicate("")
    return run_id, process


def _tasks(stack: Stack, run_id: str) -> list[int]:
    """The numbers of the task runs that ended well, in the order in which they were made."""
    found = list(stack.client().pages("task-runs", {"flow_run_id": run_id, "limit": 200}))
    ended = sorted((one["id"], one["name"]) for one in found if one["state"]["type"] == "COMPLETED")
    return [int(name.rpartition("-")[2]) for _, name in ended]


def _lines(stack: Stack, run_id: str) -> list[int]:
    pages = stack.client().pages("logs", {"flow_run_id": run_id, "limit": 200})
    return [int(line["message"]) for line in pages if line["message"].isdigit()]


def _events(stack: Stack, run_id: str) -> list[int]:
    resource = f"bench.{run_id}"
    pages = stack.client().pages("events", {"event": "bench.counted", "resource_id": resource, "limit": 200})
    return [event["payload"]["number"] for event in pages]


def main(kind: str, count: int) -> None:
    """One flow: prints its id when it has ended, and stays until its input ends."""
    from orchestrator import context, emit_event, flow, get_run_logger, task

    @task
    def nothing(number: int) -> int:
        return number

    @flow(name=f"bench-{kind}")
    def works() -> str:
        run = context.flow_run()
        assert run is not None
        log = get_run_logger()
        for number in range(count):
            if kind == "tasks":
                nothing(number)
            elif kind == "lines":
                log.info("%d", number)
            else:
                emit_event("bench.counted", f"bench.{run.id}", payload={"number": number})
        return run.id

    import logging

    logging.getLogger().addHandler(logging.NullHandler())  # ten thousand lines need not be on the terminal
    print(works(), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
