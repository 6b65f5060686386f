"""One part of a server while it runs: started, watched, started again with growing pauses, stopped."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from . import logfiles, processes
from .parts import Part
from .processes import Process
from .state import PartState
from .template import Gone, Template

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
#: Whoever stayed up that long is well again.
WELL_AFTER_S = 60.0


class Backoff:
    """The pause before something is started again: 1 s, doubling to 30 s, anew once it was well for a minute."""

    def __init__(self) -> None:
        self.failures = 0

    def pause(self, lived_s: float) -> float:
        """Seconds to wait, after it ended having lived ``lived_s`` seconds."""
        self.failures = 1 if lived_s >= WELL_AFTER_S else self.failures + 1
        doublings = min(self.failures - 1, 16)
        return min(FIRST_PAUSE_S * 2.0**doublings, LONGEST_PAUSE_S)


class Child:
    """A part and its process.

    Args:
        part: What to run.
        home: Its working folder; its output is added to ``logs/<name>.log`` there.
        base: The environment it is started from.
        template: What it is forked from, as long as there is one and the part can be.
    """

    def __init__(self, part: Part, home: Path, base: Mapping[str, str], template: Template | None = None) -> None:
        self.part = part
        self.log = home / "logs" / f"{part.name}.log"
        self.restarts = 0
        self.backoff = Backoff()
        self._home = home
        self._base = base
        self._template = template
        self._process: Process | None = None
        self._identity: str | None = None
        self._since = 0.0
        self._due = float("inf")
        self._asked = False

    def start(self) -> None:
        """Start the process."""
        with open(self.log, "ab") as log:
            self._process = self._forked(log) or self._spawned(log)
        self._identity = processes.identity(self._process.pid)
        self._since = time.monotonic()
        self._asked = False

    def _forked(self, log: IO[bytes]) -> Process | None:
        if self._template is None or not self.part.entry:
            return None
        # A command line is: an interpreter, ``-m``, a module, and the words that follow.
        words, env = self.part.argv[3:], self.part.environment(self._base)
        try:
            return self._template.start(self.part.name, self.part.entry, words, cwd=self._home, env=env, log=log)
        except Gone:
            return None

    def _spawned(self, log: IO[bytes]) -> Process:
        return processes.spawn(self.part.argv, cwd=self._home, env=self.part.environment(self._base), log=log)

    def watch(self) -> str | None:
        """Look after it: start it again when that is due. A line to show when something happened."""
        now = time.monotonic()
        if self._process is None:
            if now < self._due:
                return None
            return self._start_again(now)
        code = self._process.poll()
        if code is None:
            return None
        processes.send(self._process.pid, signal.SIGKILL, group=True)
        self._process = None
        pause = self.backoff.pause(now - self._since)
        self._due = now + pause
        return f"{self.part.name} {how_it_ended(code)} and is started again in {pause:g} s (log: {self.log})"

    def _start_again(self, now: float) -> str:
        self.restarts += 1
        try:
            self.start()
        except OSError as error:
            pause = self.backoff.pause(0.0)
            self._due = now + pause
            return f"{self.part.name} cannot be started ({error}); tried again in {pause:g} s"
        return f"{self.part.name} is started again"

    def replace(self, part: Part, hurry: Callable[[], bool]) -> None:
        """Run it with other facts from now on."""
        self.stop(hurry)
        self.part = part
        self.start()

    def ask_to_end(self) -> None:
        """Ask it to end, and do not wait for it: :meth:`stop` does."""
        if self._process is not None and self._process.poll() is None:
            processes.send(self._process.pid, signal.SIGTERM)
            self._asked = True

    def stop(self, hurry: Callable[[], bool]) -> str | None:
        """Ask it to end (once), wait its grace, then kill it and what it started. A line to show if it was killed."""
        process, self._process = self._process, None
        self._due = float("inf")
        number = None if self._asked else signal.SIGTERM
        if process is None or processes.end(process, [(number, self.part.grace_s)], hurry):
            return None
        when = "as asked" if hurry() else f"as it had not ended after {self.part.grace_s:g} s"
        return f"{self.part.name} was killed, {when} (log: {self.log})"

    @property
    def last_words(self) -> str:
        """What it wrote last that tells why it ended."""
        return logfiles.last_words(self.log)

    def state(self) -> PartState:
        """What is written about it."""
        pid = self._process.pid if self._process is not None else None
        return PartState(self.part.name, pid, self._identity if pid else None, self.restarts, str(self.log))


def how_it_ended(code: int) -> str:
    """A process's return code, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
