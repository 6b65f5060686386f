"""What ``server status`` tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import health, processes, state


def report(home: Path) -> dict[str, Any]:
    """The server of ``home``: whether it runs and is ready, its address, its parts, and what it says of its health.

    ``parts`` lists name, status (``running``, or ``waiting`` to be started again), pid, restarts and log file.
    """
    running = state.is_running(home)
    found = state.supervisor(home)
    ready, said = health.ready(found.api_url) if found else (False, None)
    parts = [_part(part) for part in found.parts] if found else []
    return {
        "running": running,
        "ready": ready and all(part["status"] == "running" for part in parts),
        "api_url": found.api_url if found else None,
        "pid": found.pid if found else None,
        "started": found.started if found else None,
        "version": found.version if found else None,
        "home": str(home),
        "data_dir": found.data_dir if found else None,
        "parts": parts,
        "health": said,
    }


def _part(part: state.PartState) -> dict[str, Any]:
    alive = part.pid is not None and processes.identity(part.pid) == part.identity
    status = "running" if alive else "waiting"
    return {"name": part.name, "status": status, "pid": part.pid, "restarts": part.restarts, "log": part.log}
