"""Who the agent is to the server, and saying once, not a thousand times, that the server is away."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

from orchestrator.documents.records import Registration
from orchestrator.errors import AccessDenied, Conflict, InvalidInput, OrchestratorError

from .api import AgentApi, back_off

log = logging.getLogger("orchestrator.agent")


class Outage:
    """Tells of the begin and the end of an outage, each once.

    Args:
        part: What is out, as the sentence needs it: ``the API``.
        meanwhile: What happens until it is back.
    """

    def __init__(self, part: str, meanwhile: str) -> None:
        self._part = part
        self._meanwhile = meanwhile
        self._lock = threading.Lock()
        self._out: set[str] = set()
        self._since = 0.0

    def begins(self, reason: object, of: str = "") -> None:
        """It is out; ``of`` names a use of it that may fail while others succeed."""
        with self._lock:
            if not self._out:
                self._since = time.monotonic()
                log.warning("%s cannot be used (%s); %s", self._part, reason, self._meanwhile)
            self._out.add(of)

    def ends(self, of: str = "") -> None:
        """It works for that use."""
        if of in self._out:
            with self._lock:
                self._out.discard(of)
                if not self._out:
                    log.warning("%s is back after %.0f s", self._part, time.monotonic() - self._since)


class Identity:
    """The agent's registration; renewed when the server does not know it any more.

    Args:
        api: The calls.
        document: What the agent tells of itself.
        outage: Told of how the API does.
    """

    def __init__(self, api: AgentApi, document: dict[str, Any], outage: Outage) -> None:
        self._api = api
        self._document = document
        self._outage = outage
        self._lock = threading.Lock()
        self._registration: Registration | None = None

    @property
    def registration(self) -> Registration:
        """What the server answered last."""
        assert self._registration is not None, "not registered yet"
        return self._registration

    @property
    def id(self) -> uuid.UUID:
        """The agent's id."""
        return self.registration.agent_id

    def register(self, stopping: threading.Event) -> bool:
        """Register, however long the API is away; False when told to stop before that.

        Raises:
            AccessDenied: The key is wrong, or may not do this.
            InvalidInput, Conflict: The server does not take what the agent says of itself, or this agent's version.
        """
        for pause in back_off():
            try:
                self._registration = self._api.register(self._document)
            except (AccessDenied, Conflict, InvalidInput):
                raise
            except OrchestratorError as error:
                self._outage.begins(error)
            else:
                self._outage.ends()
                return True
            if stopping.wait(pause):
                return False
        return False  # pragma: no cover - the pauses never end

    def renew(self, unknown: uuid.UUID) -> None:
        """Register anew because the server does not know ``unknown``. Raises what the call raises."""
        with self._lock:
            if self.id == unknown:
                self._registration = self._api.register(self._document)
                log.warning("the server did not know this agent any more; it is registered again as %s", self.id)
