"""A flow that tells a million things at full speed, while its server is killed, and started again, in the middle."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from .figures import Figure
from .stack import Stack, running

BAR = (
    "of 1,000,000 log lines written at full speed, with the server killed for half a minute in the middle, each "
    "arrives once and in order; the flow's process grows by less than 150 MB"
)
RECORDS = 1_000_000
#: Lines after which the server is killed; seconds for which it is away.
KILLED_AT, AWAY = 200_000, 30.0
_PAGE = 200


def run() -> Iterable[Figure]:
    """One flow."""
    yield from measure(RECORDS, KILLED_AT, AWAY)


def measure(records: int, killed_at: int, away: float) -> Iterable[Figure]:
    """The same with other numbers, for a quick look."""
    with running() as stack:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.million", str(records), str(killed_at)],
            env=stack.flow_environment(), cwd=Path(__file__).resolve().parent.parent,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        spooled = _Spooled(stack.home / "spool")
        run_id = process.stdout.readline().strip()
        process.stdout.readline()  # it has come so far
        stack.kill()
        time.sleep(away)
        stack.start()
        told = process.communicate()[0].split()
        flush = [sys.executable, "-m", "orchestrator", "report", "flush"]
        subprocess.run(flush, env=stack.flow_environment(), capture_output=True, timeout=1800, check=True)
        took = time.perf_counter() - began
        peak_on_disk = spooled.end()
        count, doubled, late = _read(stack, run_id)
        yield Figure.of("written", [float(told[0])], "s")
        yield Figure.of("known_after", [took], "s")
        yield Figure.of("peak_memory", [float(told[2]) - float(told[1])], "MB above the start")
        yield Figure.of("peak_on_disk", [peak_on_disk / 1e6], "MB")
        yield Figure.of("lost", [records - count], "lines")
        yield Figure.of("doubled", [doubled], "lines")
        yield Figure.of("out_of_order", [late], "lines")


class _Spooled:
    """Watches how much lies on disk."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._over, self._peak = folder, threading.Event(), 0
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def end(self) -> int:
        """Stop; the most bytes that were seen."""
        self._over.set()
        self._thread.join()
        return self._peak

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            size = 0
            for path in self._folder.rglob("*"):
                try:
                    size += path.stat().st_size
                except OSError:
                    continue  # it was handed over meanwhile
            self._peak = max(self._peak, size)


def _read(stack: Stack, run_id: str) -> tuple[int, int, int]:
    """How many different lines are known; how many came twice; how many after a later one."""
    seen, doubled, late, last = set[int](), 0, 0, -1
    for line in stack.client().pages("logs", {"flow_run_id": run_id, "limit": _PAGE}):
        if not line["message"].isdigit():
            continue
        number = int(line["message"])
        doubled += number in seen
        late += number < last
        seen.add(number)
        last = number
    return len(seen), doubled, late


def _memory() -> float:
    """The most that this process has had so far, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most / 1e3


def main(records: int, killed_at: int) -> None:
    """The flow: prints its id, a word when it has come to ``killed_at``, and at the end seconds and megabytes."""
    from orchestrator import context, flow, get_run_logger

    figures: list[float] = []

    @flow(name="bench-million")
    def works() -> None:
        found = context.flow_run()
        assert found is not None
        print(found.id, flush=True)
        log = get_run_logger()
        before, began = _memory(), time.perf_counter()
        for number in range(records):
            log.info("%d", number)
            if number == killed_at:
                print("so far", flush=True)
        figures.extend((time.perf_counter() - began, before))

    logging.getLogger().addHandler(logging.NullHandler())  # a million lines need not be on the terminal
    works()
    print(*figures, _memory(), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
