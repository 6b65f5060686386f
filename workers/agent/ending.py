"""When a process has to be gone, and how it is made to go: time-out, grace, signals."""

from __future__ import annotations

import signal
import time

from . import processes
from .verdict import Ask, Facts

#: Seconds beyond a time-out before the supervisor acts, so that the engine, which counts as well, may be first.
TIMEOUT_SLACK = 0.5


class Ending:
    """Takes one process down, with all that descends from it.

    Args:
        facts: Says what was asked for; learns of time-outs and kills.
        grace_s: Seconds from SIGTERM to SIGKILL.
    """

    def __init__(self, facts: Facts, grace_s: float) -> None:
        self._facts = facts
        self._grace_s = grace_s
        #: Monotonic times: of SIGKILL, once SIGTERM was sent; of the time-out; by when an ended flow has to be gone.
        self._kill_at: float | None = None
        self._timeout_at: float | None = None
        self._leave_at: float | None = None
        #: Whether grace is over.
        self.hurry = False
        self._hurried = False
        #: Processes to end that may have left the group.
        self._tree: set[processes.Proc] = set()

    def time_out(self, seconds: float, slack: float = TIMEOUT_SLACK) -> None:
        """It may run for so long, from now on."""
        self._timeout_at = time.monotonic() + seconds + slack

    def leave(self, seconds: float) -> None:
        """The flow has ended; its process may stay for so long."""
        self._timeout_at = None
        self._leave_at = time.monotonic() + seconds

    def pause(self) -> float | None:
        """Seconds until something is due."""
        due = [at for at in (self._kill_at, self._leave_at, self._timeout_at) if at is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def is_timed_out(self) -> bool:
        """Whether the time-out has just passed."""
        if self._timeout_at is None or time.monotonic() < self._timeout_at:
            return False
        self._timeout_at = None
        return True

    def act(self, pid: int) -> None:
        """Send what is due to the process and its descendants."""
        at = time.monotonic()
        overstays = self._leave_at is not None and at >= self._leave_at
        if (overstays or self._facts.ask is not Ask.NOTHING) and self._kill_at is None:
            self._timeout_at = self._leave_at = None
            self._kill_at = at + self._grace_s
            if self._facts.ask is not Ask.LOST:
                self._signal(pid, signal.SIGTERM)
        hurry = self._kill_at is not None and not self._hurried and (self.hurry or self._facts.ask is Ask.LOST)
        if self._kill_at is not None and (hurry or at >= self._kill_at):
            self._hurried = True
            self._facts.killed = True
            self._kill_at = at + 1.0
            self._signal(pid, signal.SIGKILL)

    def sweep(self, pid: int | None) -> None:
        """It has ended: kill what it left in its group; after a stop, also what left the group."""
        if pid is not None:
            processes.send_group(pid, signal.SIGKILL)
        if self._facts.ask is not Ask.NOTHING:
            processes.signal_all(self._tree, signal.SIGKILL)

    def _signal(self, pid: int, number: int) -> None:
        """Signal the group, and what descends from the process but left the group."""
        self._tree |= processes.descendants(pid)
        processes.send_group(pid, number)
        processes.signal_all(self._tree, number)
