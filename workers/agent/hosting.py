"""What an agent lends to an infrastructure that launches one of its runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from orchestrator.interfaces import LaunchSpec, Running

from .launcher import Child
from .verdict import Ask


class Supervisor(Protocol):
    """The supervision of the run, as far as it is lent."""

    @property
    def is_wanted(self) -> bool:
        """Whether the run is still to be launched."""

    def begin(self, spec: LaunchSpec) -> Child:
        """Start a process on this computer."""

    def ask(self, what: Ask) -> None:
        """Ask for the run's end."""

    def kill(self) -> None:
        """End all its processes at once."""

    def hide(self, values: list[Any]) -> None:
        """Mask these in all that the run tells."""

    def tell(self, message: str) -> None:
        """Write a line into the run's log."""

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str) -> None:
        """Record an event beside the run."""


class Host:
    """What an infrastructure is lent."""

    def __init__(self, supervision: Supervisor) -> None:
        self._supervision = supervision

    def start(self, spec: LaunchSpec) -> Running:
        return Started(self._supervision, self._supervision.begin(spec))

    def wanted(self) -> bool:
        return self._supervision.is_wanted

    def hide(self, values: Iterable[Any]) -> None:
        self._supervision.hide(list(values))

    def tell(self, message: str) -> None:
        self._supervision.tell(message)

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str = "") -> None:
        self._supervision.emit(event, resource, payload, key)


class Started:
    """The process as an infrastructure sees it."""

    def __init__(self, supervision: Supervisor, child: Child) -> None:
        self._supervision = supervision
        self._child = child

    @property
    def identifier(self) -> str:
        return str(self._child.pid or "")

    def poll(self) -> int | None:
        if not self._child.ended:
            return None
        return self._child.code if self._child.code is not None else -(self._child.signal or 0)

    def terminate(self) -> None:
        self._supervision.ask(Ask.STOP)

    def kill(self) -> None:
        self._supervision.kill()
