"""The heartbeat: one call for all runs of the agent; its answer says what to cancel."""

from __future__ import annotations

import logging
import threading

from orchestrator.errors import NotFound, OrchestratorError

from .api import AgentApi, back_off
from .identity import Identity, Outage
from .roster import Roster
from .verdict import Ask

log = logging.getLogger("orchestrator.agent")


class Heart:
    """Beats in a thread of its own, so that no run, however busy, can hold it up.

    Args:
        api: The calls.
        identity: Whose heart it is.
        roster: The attempts to renew, and to take down.
        outage: Told of how the API does.
    """

    def __init__(self, api: AgentApi, identity: Identity, roster: Roster, outage: Outage) -> None:
        self._api = api
        self._identity = identity
        self._roster = roster
        self._outage = outage
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
                pause = self._identity.registration.heartbeat_s
                pauses = back_off(0.5, pause)
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
            pulse = self._api.heartbeat(agent_id, self._roster.held())
        except NotFound:
            self._identity.renew(agent_id)
            self._wake.set()
            return
        self._outage.ends()
        self._roster.ask(pulse.cancel, Ask.CANCEL)
        self._roster.ask(pulse.lost, Ask.LOST)
