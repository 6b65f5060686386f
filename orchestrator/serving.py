"""Serving tasks from Python: an agent for their background runs, on this computer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from . import settings
from .engine.decorated import Decorated
from .errors import FailedRun, InvalidInput, SettingsError
from .task_runners.carrying import place_of


def serve(*tasks: Decorated[Any, Any], limit: int = 10) -> None:
    """Serve tasks here: make their background runs, those that wait already first, until this process is told to end.

    It does what ``orchestrator task serve`` does: tells the server of each task and where its code lies on this
    computer, and starts an agent for them. Each run has a process of its own.

    Args:
        tasks: Tasks that stand at the top of a file.
        limit: Runs made at a time.

    Raises:
        InvalidInput: There is none, or one is not found from its file.
        SettingsError: No API is configured.
        FailedRun: The agent could not be started, or ended by itself; it has said why.
    """
    if not tasks or not all(isinstance(task, Decorated) and task.kind == "task" for task in tasks):
        raise InvalidInput("serve takes tasks: serve(load, total)")
    if not settings.load().api_url:
        raise SettingsError("tasks are served for an API: set ORCHESTRATOR_API_URL and ORCHESTRATOR_API_KEY")
    command = [sys.executable, "-m", "orchestrator", "task", "serve", *map(target, tasks), "--limit", str(limit)]
    agent = subprocess.Popen(command)
    try:
        code = agent.wait()
    finally:
        agent.terminate()
        agent.wait()
    if code:
        raise FailedRun(f"serving ended with exit code {code}")


def target(task: Decorated[Any, Any]) -> str:
    """A task as ``FOLDER:file.py:name``, the folder being the one that its module's name counts from.

    Raises:
        InvalidInput: It is not found by its name there.
    """
    place = place_of(task.fn, task.name)
    file = Path(place.file).resolve()
    folder = file.parents[0 if place.module == "__main__" else place.module.count(".")]
    return f"{folder}:{file.relative_to(folder).as_posix()}:{place.qualname}"
