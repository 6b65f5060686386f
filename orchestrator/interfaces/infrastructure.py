"""Where flow runs are executed."""

from __future__ import annotations

import abc
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from .base import Interface

#: What executes a run where its agent cannot fork it; its environment is what :class:`LaunchSpec` calls ``remote_env``.
REMOTE_PROGRAM = ("-m", "orchestrator.workers.remote")


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
    #: What executes the run where the host cannot fork it, in a container or on another machine: arguments of Python.
    command: tuple[str, ...] = REMOTE_PROGRAM
    #: Its variables, the run's token in ``ORCHESTRATOR_API_KEY`` among them.
    remote_env: dict[str, str] = field(default_factory=dict)
    #: Seconds from asking a run to stop to killing it.
    grace_s: float = 30.0
    #: Of processes on the agent's computer: the interpreter, or its virtual environment; None: the agent's own.
    python: str | None = None
    #: Of such processes: whether what the project requires is installed for it.
    requirements: bool = False
    #: Of such processes: most megabytes of memory, and most seconds of processor time, of each process; None: any.
    memory_mb: int | None = None
    cpu_seconds: int | None = None


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


class Elsewhere(Running, Protocol):
    """What runs out of the agent's reach; the agent follows it by these. ``poll`` gives -1 where no code is known."""

    def wait(self, seconds: float) -> int | None:
        """As :meth:`poll`, after waiting for the end for at most so long."""

    def logs(self) -> Iterator[tuple[str, bytes]]:
        """What it writes, from its begin to its end: ``("stdout" or "stderr", bytes)``."""

    def reason(self) -> str:
        """Once it ended without a word of its flow: why, a sentence's part such as ``the container ... was killed``."""

    def clean_up(self) -> None:
        """Remove what was made for it. Called once, at the end; raises nothing."""


class ProcessHost(Protocol):
    """What an agent lends to infrastructures."""

    def start(self, spec: LaunchSpec) -> Running:
        """Start a supervised process for the run on the agent's own computer."""

    def wanted(self) -> bool:
        """Whether the run is still to be started; what takes long (fetching an image) asks from time to time."""

    def hide(self, values: Iterable[Any]) -> None:
        """Mask these values from now on in all that is told of the run."""

    def tell(self, message: str) -> None:
        """Write a line into the run's log."""

    def emit(self, event: str, resource: dict[str, str], payload: dict[str, Any], key: str = "") -> None:
        """Record an event beside the run. Of those with the same ``key`` the first counts."""


class Infrastructure(Interface):
    """Where a flow run is executed."""

    interface: ClassVar[str] = "infrastructure"

    @abc.abstractmethod
    def launch(self, spec: LaunchSpec, host: ProcessHost) -> Running:
        """Start the run: on the agent's own computer by ``host``, or elsewhere (the answer is :class:`Elsewhere` then).

        It returns once the run was started; it need not have begun.

        Raises:
            OrchestratorError: It cannot be started; the message names why and what to do.
        """
