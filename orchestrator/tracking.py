"""Where what happens here is reported to."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import context, reporting, settings
from .context import FlowRun
from .reporting import Reporter, Sink

_said: set[str] = set()


def sink(found: settings.Settings) -> Sink | None:
    """The reporter of the configured API; None, after one line that says so, where no API is configured."""
    if found.api_url:
        return reporting.process_reporter(found)
    if "untracked" not in _said:
        _said.add("untracked")
        print("orchestrator: no API is configured (ORCHESTRATOR_API_URL), so this run is not tracked", file=sys.stderr)
    return None


@contextmanager
def kept_alive(run: FlowRun) -> Iterator[None]:
    """While the ``with`` lasts, the server hears that a run which was started by hand goes on. Subflows go on with what
    called them, and what an agent runs is in its heartbeat."""
    reporter = run.sink if run.parent is None and not run.supervised and isinstance(run.sink, Reporter) else None
    if reporter is not None:
        reporter.keep(run.id)
    try:
        yield
    finally:
        if reporter is not None:
            reporter.let_go(run.id)


def present_sink() -> Sink | None:
    """Where the present run reports to; outside of runs the configured API, if there is one."""
    run = context.owner()
    if run is not None:
        return run.sink
    found = settings.load()
    return reporting.process_reporter(found) if found.api_url else None
