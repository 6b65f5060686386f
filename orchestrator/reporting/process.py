"""The reporter of a process: made when it is first needed, closed when the process ends, made anew after a fork."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from .. import settings
from ..client import Client
from .reporter import EXIT_TIMEOUT, Reporter, reporters

_default: dict[Any, Reporter] = {}
_default_lock = threading.Lock()


def process_reporter(found: settings.Settings) -> Reporter:
    """The reporter of this process for the configured API; it is closed when the process ends."""
    key = (found.api_url, found.api_key, found.home)
    with _default_lock:
        current = _default.get(key)
        if current is None:
            for old in _default.values():
                old.close(1.0)
            _default.clear()
            current = _default[key] = Reporter(
                Client(found.api_url, found.api_key), found.path("spool"), spool_max=found.spool_max
            )
        return current


def finish(timeout: float = EXIT_TIMEOUT) -> bool:
    """Close the reporter of this process, if there is one; the next run makes another.

    Args:
        timeout: Seconds without progress after which what is left stays on disk.

    Returns:
        Whether all was delivered.
    """
    with _default_lock:
        found = list(_default.values())
        _default.clear()
    delivered = [reporter.close(timeout) for reporter in found]
    return all(delivered)


def _at_exit() -> None:
    for reporter in list(_default.values()):
        reporter.close(EXIT_TIMEOUT)


def _after_fork() -> None:
    """In a forked child: its parent sends what the parent put; the child has a name and a thread of its own."""
    global _default_lock
    _default_lock = threading.Lock()
    for reporter in list(reporters):
        reporter.start_anew()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
