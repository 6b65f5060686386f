"""The heartbeat: one call for all runs of the agent; its answer says what to cancel."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from orchestrator.errors import AccessDenied, NotFound, OrchestratorError

from .api import AgentApi, Pulse, back_off
from .desk import Desk
from .identity import Identity, Outage
from .roster import Roster
from .verdict import Ask

log = logging.getLogger("orchestrator.agent")

#: Heartbeats in a row that find the agent unhealthy before it gives up.
GIVE_UP = 3


class Heart:
    """Beats in a thread of its own, so that no run, however busy, can hold it up.

    Args:
        api: The calls.
        identity: Whose heart it is.
        roster: The attempts to renew, and to take down.
        outage: Told of how the API does.
        desk: Where runs are claimed; asked to look when work waits that no hint came for.
        give_up: Told why this agent can do no more, once that is certain.
    """

    def __init__(
        self,
        api: AgentApi,
        identity: Identity,
        roster: Roster,
        outage: Outage,
        desk: Desk,
        give_up: Callable[[str], None],
    ) -> None:
        self._api = api
        self._identity = identity
        self._roster = roster
        self._outage = outage
        self._desk = desk
        self._give_up = give_up
        #: Monotonic time since which the API refuses this agent; heartbeats in a row that found it unhealthy.
        self._refused_since: float | None = None
        self._unhealthy = 0
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def beat_now(self) -> None:
        """Beat at once: a cancel may wait."""
        self._wake.set()

    def stop(self) -> None:
        """Beat no more."""
        self._stopping.set()
        self._wake.set()
        self._thread.join(5.0)

    def _run(self) -> None:
        pauses = back_off(0.5, self._identity.registration.heartbeat_s)
        while not self._stopping.is_set():
            try:
                self.beat()
                self._refused_since = None
                pause = self._identity.registration.heartbeat_s
                pauses = back_off(0.5, pause)
            except AccessDenied as error:
                self._outage.begins(error)
                self._refused(error)
                pause = next(pauses)
            except OrchestratorError as error:
                self._outage.begins(error)
                pause = next(pauses)
            except Exception:
                log.exception("a heartbeat failed")
                pause = next(pauses)
            self._wake.wait(pause)
            self._wake.clear()

    def beat(self) -> None:
        """One heartbeat. Raises what the call raises; an agent that the server forgot registers anew instead."""
        agent_id = self._identity.id
        try:
            pulse = self._api.heartbeat(agent_id, self._roster.held(), self._desk.pulling)
        except NotFound:
            self._identity.renew(agent_id)
            self._wake.set()
            return
        self._outage.ends()
        self._roster.ask(pulse.cancel, Ask.CANCEL)
        self._roster.ask(pulse.lost, Ask.LOST)
        if pulse.waiting:
            self._desk.look()
        self._look_at(pulse)

    def _look_at(self, pulse: Pulse) -> None:
        """Give up when one heartbeat after the other finds that this agent cannot pull: started anew, it may."""
        self._unhealthy = self._unhealthy + 1 if pulse.unhealthy else 0
        if self._unhealthy == 1:
            log.error("UNHEALTHY: %s", pulse.unhealthy)
        elif self._unhealthy == GIVE_UP:
            self._give_up(f"UNHEALTHY: {pulse.unhealthy}")

    def _refused(self, error: AccessDenied) -> None:
        """Give up once a whole lease has passed without one renewal: by then the runs are not ours any more."""
        now = time.monotonic()
        self._refused_since = self._refused_since or now
        if now - self._refused_since >= self._identity.registration.lease_s:
            self._roster.ask(self._roster.held(), Ask.LOST)
            self._give_up(f"the API refuses this agent for good: {error}")
