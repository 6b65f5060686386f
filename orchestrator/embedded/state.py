"""``server.json`` in the home folder: what runs, for ``server stop`` and ``server status``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import lock, processes
from .data_server import write_private


@dataclass(frozen=True)
class PartState:
    """One child of the supervisor. ``identity`` tells its process from a later one with the same pid."""

    name: str
    pid: int | None
    identity: str | None
    restarts: int
    log: str


@dataclass(frozen=True)
class ServerState:
    """A supervisor and its children. ``started`` is RFC 3339 text."""

    pid: int
    identity: str | None
    api_url: str
    started: str
    version: str
    data_dir: str | None
    parts: list[PartState] = field(default_factory=list)


def state_file(home: Path) -> Path:
    """Where the state of the server of ``home`` is written."""
    return home / "server.json"


def lock_file(home: Path) -> Path:
    """The lock that the supervisor of ``home`` holds as long as it lives."""
    return home / "server.lock"


def write(home: Path, state: ServerState) -> None:
    """Replace the state file."""
    write_private(state_file(home), json.dumps(asdict(state), indent=2) + "\n")


def read(home: Path) -> ServerState | None:
    """What the state file says; None if there is none, or none that can be understood."""
    try:
        document: dict[str, Any] = json.loads(state_file(home).read_text("utf-8"))
        parts = [PartState(**part) for part in document.pop("parts")]
        return ServerState(**document, parts=parts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def is_running(home: Path) -> bool:
    """Whether a supervisor of ``home`` is alive. A state file alone proves nothing: ``kill -9`` leaves it behind."""
    return lock.is_held(lock_file(home))


def supervisor(home: Path) -> ServerState | None:
    """The state of the server that runs now; None if none does, or it has not written its state yet."""
    found = read(home) if is_running(home) else None
    return found if found and found.identity and processes.identity(found.pid) == found.identity else None


def end_leftovers(home: Path) -> list[str]:
    """End the processes that a killed supervisor left, and its state file; only for who holds the lock, or
    knows that nobody does.

    Returns:
        The names of the parts that were still alive.
    """
    left = read(home)
    alive = [part for part in left.parts if _is_alive(part)] if left else []
    for part in reversed(alive):
        processes.end_stranger(part.pid or 0, part.identity or "")
    state_file(home).unlink(missing_ok=True)
    return [part.name for part in alive]


def _is_alive(part: PartState) -> bool:
    return part.pid is not None and part.identity is not None and processes.identity(part.pid) == part.identity
