"""Forks of a process in the middle of a run (``os.fork``, pools of :mod:`multiprocessing`).

The parent goes on with the run and tells how it ends. The child has a copy of all that the run was, and none of its
threads: it reports no state of what its parent goes on with, waits for none of its tasks, starts threads of its own.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from .. import context, reporting
from ..context import FlowRun
from ..reporting import Sink

_STATES = frozenset({"flow-run", "flow-run-state", "task-run"})


class _Muted:
    """A sink that leaves out the states of runs which are another process's."""

    def __init__(self, sink: Sink, ids: frozenset[str]) -> None:
        self._sink, self._ids = sink, ids

    def put(self, item: Mapping[str, Any]) -> None:
        """Hand an item over, unless it is the parent's to tell."""
        if item["kind"] not in _STATES or item["id"] not in self._ids:
            self._sink.put(item)

    def flush(self, timeout: float) -> bool:
        """As the sink it stands for."""
        return self._sink.flush(timeout)


def leave(pid: int, code: int) -> None:
    """End this process where it is not the one of that id, but a child of it that came out of user code."""
    if os.getpid() != pid:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _lines_of_runs() -> Iterator[FlowRun]:
    seen: set[int] = set()
    for run in [context.flow_run(), *context.active_runs()]:
        while run is not None and id(run) not in seen:
            seen.add(id(run))
            yield run
            run = run.parent


def _ids_of_tasks() -> Iterator[str]:
    task = context.task_run()
    while task is not None:
        yield task.id
        task = task.parent


def _in_child() -> None:
    runs = list(_lines_of_runs())
    ids = frozenset([*(run.id for run in runs), *_ids_of_tasks()])
    for run in runs:
        if run.supervised:
            # what an agent supervises tells it by one stream, which takes one writer: the child's output is captured
            run.sink, run.supervised = None, False
        elif run.sink is not None:
            run.sink = _Muted(run.sink, ids)
        run.pending = set()
        run.runner = run.runner.fresh() if run.runner is not None else None


_workers_known = False


def _before() -> None:
    """Leave nothing half-done to the copy; pools of processes leave without the exit functions of the interpreter, so
    that they get ones of their own.
    """
    global _workers_known
    # A thread's first request imports this; what it is in the midst of importing, nobody in the copy would finish.
    importlib.import_module("encodings.idna")
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _workers_known:
        _workers_known = True
        util.register_after_fork(_before, lambda _: util.Finalize(None, reporting.finish, exitpriority=10))


def heed() -> None:
    """From now on heed forks."""
    if hasattr(os, "register_at_fork"):  # not on Windows
        os.register_at_fork(before=_before, after_in_child=_in_child)
