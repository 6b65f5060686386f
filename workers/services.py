"""``python -m orchestrator.workers.services``: the process that steps the server's loops.

Steps are asked for by ticks from beat, through Redis. A watchdog takes the steps whose ticks stay away, so that a dead
Redis or a dead beat stops nothing.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time

from orchestrator import settings
from orchestrator.errors import OrchestratorError
from orchestrator.server import hints
from orchestrator.server.db import session
from orchestrator.server.memory import give_back
from orchestrator.server.services.identity import secrets

from .app import app
from .hint_worker import HintWorker
from .ticks import Steps, steps

log = logging.getLogger("orchestrator.services")

THREADS = 4
#: Seconds between two looks at what is overdue.
WATCH = 0.5
#: Seconds between two looks for connections and memory that are not needed.
CLOSE_IDLE = 30.0
#: Seconds that the first round may take before ticks are taken beside it.
FIRST_ROUND = 3.0
#: Steps last a second at most; what does not end in this time is left to the database's own time-outs.
STOP_WITHIN = 10.0


def watch(stepping: Steps, stopping: threading.Event, begun: threading.Event) -> None:
    """Go round all loops once, then take overdue steps until told to stop."""
    stepping.step_all()
    begun.set()
    closed = time.monotonic()
    while not stopping.wait(WATCH):
        stepping.step_overdue()
        if time.monotonic() - closed >= CLOSE_IDLE:
            session.close_idle()
            give_back()
            closed = time.monotonic()


def serve(stopping: threading.Event) -> None:
    """Consume ticks and watch over them until ``stopping`` is set."""
    worker = HintWorker(app, THREADS, "services")
    begun = threading.Event()
    watchdog = threading.Thread(target=watch, args=(steps, stopping, begun), name="watchdog", daemon=True)
    watchdog.start()
    # At first one after another: a second connection would be kept for good, and that is megabytes in Postgres.
    begun.wait(FIRST_ROUND)
    worker.start()
    log.info("stepping the loops")
    while not stopping.wait(1.0):
        pass
    worker.stop(STOP_WITHIN)
    watchdog.join(STOP_WITHIN)


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns the exit code."""
    try:
        found = settings.load()
        logging.basicConfig(level=found.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
        logging.getLogger("celery").setLevel(logging.WARNING)
        session.configure(found.database_url, THREADS + 2)
        hints.configure(found.redis_url or None)
        hints.take_wakes(steps.soon)
        if key := secrets.given(found):
            secrets.configure(key)
    except (OrchestratorError, ValueError) as error:
        print(f"services: {error}", file=sys.stderr)
        return 2
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    serve(stopping)
    session.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
