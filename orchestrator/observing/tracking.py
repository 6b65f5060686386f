"""Where what happens here is reported to."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from .. import context, reporting, settings
from ..context import FlowRun
from ..reporting import Reporter, Sink

#: Names the run that a program was started in, for commands of ours among them.
RUN_ID = "ORCHESTRATOR_RUN_ID"

_said: set[str] = set()
_used: Sink | None = None


def use(sink: Sink | None) -> Sink | None:
    """Have all that happens in this process from now on reported to a sink of the caller's; None: as configured.

    Returns:
        The one before.
    """
    global _used
    before, _used = _used, sink
    return before


def sink(found: settings.Settings) -> Sink | None:
    """The reporter of the configured API; None, after one line that says so, where no API is configured."""
    if _used is not None:
        return _used
    if found.api_url:
        return reporting.process_reporter(found)
    if "untracked" not in _said:
        _said.add("untracked")
        print("orchestrator: no API is configured (ORCHESTRATOR_API_URL), so this run is not tracked", file=sys.stderr)
    return None


@contextmanager
def kept_alive(run: FlowRun) -> Iterator[None]:
    """While the ``with`` lasts, the server hears that a run which was started by hand goes on, and programs that it
    starts can tell what run they are part of. Subflows go on with what called them, and what an agent runs is in its
    heartbeat."""
    reporter = run.sink if run.parent is None and not run.supervised and isinstance(run.sink, Reporter) else None
    if reporter is None:
        yield
        return
    reporter.keep(run.id)
    before = os.environ.get(RUN_ID)
    os.environ[RUN_ID] = run.id
    try:
        yield
    finally:
        reporter.let_go(run.id)
        if os.environ.get(RUN_ID) == run.id:
            os.environ.pop(RUN_ID) if before is None else os.environ.update({RUN_ID: before})


def present_sink() -> Sink | None:
    """Where the present run reports to; outside of runs the configured API, if there is one."""
    run = context.owner()
    if run is not None:
        return run.sink
    if _used is not None:
        return _used
    found = settings.load()
    return reporting.process_reporter(found) if found.api_url else None
