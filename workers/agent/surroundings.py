"""What an agent gives to those who watch over its runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.documents.records import Job, State
from orchestrator.interfaces import LaunchSpec, ProcessHost, Running

from .launcher import Launcher
from .verdict import Ask


@dataclass(frozen=True)
class Surroundings:
    """What an agent gives to each of its supervisions.

    Attributes:
        agent: The agent's name.
        launcher: Starts the process.
        launch: Starts it in the run's infrastructure: ``(job, spec, host, wanted)``; waits while the API is away and
            ``wanted()`` is true.
        confirm: Asks the server whether user code may start; waits while the API is away. Given the job and a
            function that tells whether the answer is still wanted; returns what the supervisor shall do.
        env: Environment of every run.
        remote_env: Settings of the agent that hold for runs in containers, too.
        grace_s: Seconds from SIGTERM to SIGKILL.
        line_max: Bytes of an output line that are kept.
        runs: Folder of the runs' scratch folders.
        told: The end of a run that its own process may have told the server; None while there is none. Raises NotFound
            when the run is not ours any more.
        take_hooks: Asks the server whether hooks for the end of a run are to be called here: nobody else has undertaken
            to. Given the job and a function that tells whether the answer is still wanted; waits while the API is away.
        hook_timeout_s: Seconds that the hooks of a run's end may take.
    """

    agent: str
    launcher: Launcher
    launch: Callable[[Job, LaunchSpec, ProcessHost, Callable[[], bool]], Running]
    confirm: Callable[[Job, Callable[[], bool]], Ask]
    env: dict[str, str]
    grace_s: float
    line_max: int
    runs: Path
    told: Callable[[Job, Callable[[], bool]], State | None] = lambda job, wanted: None
    take_hooks: Callable[[Job, Callable[[], bool]], bool] = lambda job, wanted: True
    remote_env: dict[str, str] = field(default_factory=dict)
    hook_timeout_s: float = 60.0
