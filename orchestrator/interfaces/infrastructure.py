"""Where flow runs are executed."""

from __future__ import annotations

import abc
import uuid
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from .base import Interface


@dataclass(frozen=True)
class LaunchSpec:
    """What an infrastructure is asked to execute: one attempt of one flow run."""

    run_id: uuid.UUID | None = None
    attempt: int = 0
    #: The run's name, for labels that people read.
    name: str = ""
    #: Environment variables, laid over the agent's own.
    env: dict[str, str] = field(default_factory=dict)
    #: Folder to execute in; None: the working copy of the project.
    working_dir: str | None = None
    #: What executes the run where the host cannot fork it: in a container, in another machine.
    command: tuple[str, ...] = ()


class Running(Protocol):
    """What was launched, as its supervisor sees it."""

    @property
    def identifier(self) -> str:
        """What people look it up by: a process id, a container's name."""

    def poll(self) -> int | None:
        """The exit code; None while it runs. A negative one is the signal that ended it."""

    def terminate(self) -> None:
        """Ask it, with all that it started, to stop."""

    def kill(self) -> None:
        """End it, with all that it started, at once."""


class ProcessHost(Protocol):
    """What an agent lends to infrastructures: supervised processes on its own computer."""

    def start(self, spec: LaunchSpec) -> Running:
        """Start a process for the run."""


class Infrastructure(Interface):
    """Where a flow run is executed."""

    interface: ClassVar[str] = "infrastructure"

    @abc.abstractmethod
    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Start the run, on the agent's own computer by ``host``, or elsewhere. Returns at once."""
