"""Watching a run that is executed elsewhere: in a container, in a pod.

The program there (:mod:`orchestrator.workers.remote`) supervises the flow and tells the server of it. What is left to
the agent: what the container itself writes, asking it to stop, killing it, and saying why it ended where nobody inside
could.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from orchestrator.errors import OrchestratorError
from orchestrator.interfaces import Elsewhere

from .verdict import Ask, Facts

log = logging.getLogger("orchestrator.agent")

#: Seconds between two looks at what is asked for.
LOOK = 0.2
#: Seconds that the last output may take to arrive once all has ended.
DRAIN = 5.0
#: Seconds after which a kill that ended nothing is tried again, and after which the end is no more waited for.
AGAIN, GIVE_UP = 5.0, 60.0


class Following:
    """Follows one attempt to its end.

    Args:
        running: What was launched.
        facts: Filled in with how it ended; says what was asked for.
        feed: Takes its output: stream, bytes.
        is_hurried: Whether grace is over.
    """

    def __init__(
        self,
        running: Elsewhere,
        facts: Facts,
        feed: Callable[[str, bytes], None],
        is_hurried: Callable[[], bool],
    ) -> None:
        self._running = running
        self._facts = facts
        self._feed = feed
        self._is_hurried = is_hurried
        self._kill_at: float | None = None
        self._given_up_at: float | None = None
        self._over = False

    def watch(self) -> None:
        """Return once it has ended, or cannot be reached long after it was to be killed."""
        reader = threading.Thread(target=self._read, name=f"logs-{self._running.identifier}", daemon=True)
        reader.start()
        try:
            code = self._wait()
            reader.join(DRAIN)
            self._over = True
            self._conclude(code)
        finally:
            self._running.clean_up()

    def _wait(self) -> int | None:
        while (code := self._running.wait(LOOK)) is None:
            self._act()
            if self._given_up_at is not None and time.monotonic() >= self._given_up_at:
                log.warning("%s could not be ended: it may go on", self._running.identifier)
                return None
        return code

    def _act(self) -> None:
        """Do what was asked for, and what is due."""
        at = time.monotonic()
        if self._facts.ask is Ask.NOTHING:
            return
        if self._kill_at is None:
            self._kill_at = at + self._facts.grace_s
            if self._facts.ask is not Ask.LOST:
                self._try(self._running.terminate)
        if self._facts.ask is Ask.LOST or self._is_hurried():
            self._kill_at = min(self._kill_at, at) if self._given_up_at is None else self._kill_at
        if at >= self._kill_at:
            self._facts.killed = True
            self._kill_at = at + AGAIN
            self._given_up_at = self._given_up_at or at + GIVE_UP
            self._try(self._running.kill)

    def _try(self, verb: Callable[[], None]) -> None:
        try:
            verb()
        except OrchestratorError as error:
            log.warning("%s cannot be asked to end: %s", self._running.identifier, error)

    def _read(self) -> None:
        try:
            for name, data in self._running.logs():
                if self._over:
                    return
                self._feed(name, data)
        except OrchestratorError as error:
            log.warning("the output of %s cannot be read: %s", self._running.identifier, error)
        except Exception:
            log.exception("reading the output of %s failed", self._running.identifier)

    def _conclude(self, code: int | None) -> None:
        self._facts.reason = self._running.reason()
        if code is not None and code >= 0:
            self._facts.code = code
