"""The agent: its parts put together, started in order, stopped in order."""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import dataclass
from typing import Any

from orchestrator._version import __version__
from orchestrator.client import Client
from orchestrator.errors import OrchestratorError
from orchestrator.reporting import Reporter
from orchestrator.settings import Settings

from .api import AgentApi
from .confirming import take_hooks, told_end
from .desk import Desk
from .heart import Heart
from .identity import Identity, Outage
from .infrastructure import Infrastructures
from .launcher import Launcher, best_launcher
from .roster import Roster
from .surroundings import Surroundings
from .transports import Hints, LongPoll, Transport

log = logging.getLogger("orchestrator.agent")

#: Seconds that runs get between SIGTERM and SIGKILL once the time for draining is over.
LAST_GRACE = 5.0
#: Seconds to make the ends of runs known before leaving; what is left waits on disk for the next agent.
HAND_OVER = 10.0


@dataclass(frozen=True)
class Options:
    """What a person asks of an agent.

    Attributes:
        queues: Work queues to take runs from.
        limit: How many runs it executes at a time.
        transport: ``redis`` (hints, with long-polling as the fallback) or ``http`` (long-polling).
        name: What people know it by; computer and process id when empty.
    """

    queues: list[str]
    limit: int = 10
    transport: str = "redis"
    name: str = ""


class Agent:
    """Claims runs, executes them in processes of their own, watches over them, reports for them.

    Args:
        options: What to do.
        settings: Where the API is; home for caches, spools and run folders.
        launcher: Starts processes; the best of this computer when not given.
    """

    def __init__(self, options: Options, settings: Settings, launcher: Launcher | None = None) -> None:
        self.name = options.name or f"{socket.gethostname()}-{os.getpid()}"
        self._options = options
        self._settings = settings
        self._launcher = launcher or best_launcher()
        client = Client(settings.api_url, settings.api_key)
        self._api = AgentApi(client)
        self._outage = Outage("the API", "waiting for it, runs go on")
        self._identity = Identity(self._api, self._document(), self._outage)
        self._infrastructures = Infrastructures(client)
        self._reporter = Reporter(client, settings.path("spool"), spool_max=settings.spool_max)
        self._roster = Roster(self._reporter)
        self._heart = Heart(self._api, self._identity, self._roster, self._outage)
        self._transport: Transport | None = None
        self._desk: Desk | None = None
        #: Set to stop: claim no more, let runs end within the grace.
        self.stopping = threading.Event()
        #: Set to stop at once.
        self.hurry = threading.Event()

    def run(self) -> None:
        """Work until :attr:`stopping` is set, then come to an orderly end.

        Raises:
            AccessDenied: The key is wrong, or may not register agents.
            InvalidInput: The server does not take a queue's or the agent's name.
            LaunchFailed: No process can be started on this computer.
        """
        self._launcher.start()
        try:
            if not self._identity.register(self.stopping):
                return
            self._begin()
            while not self.stopping.wait(1.0):
                pass
            self._end()
        finally:
            self._launcher.stop()
            self._reporter.close(HAND_OVER)

    @property
    def running(self) -> int:
        """How many runs it executes."""
        return self._roster.running

    def _document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            "transport": self._options.transport,
            "queues": list(self._options.queues),
            "slots": self._options.limit,
        }

    def _begin(self) -> None:
        desk = self._desk = self._make_desk()
        self._roster.start()
        self._heart.start()
        poll = LongPoll(self._api, self._identity, desk, self._heart, self._roster, self._outage)
        broker_url = self._identity.registration.broker_url
        self._transport = poll
        if self._options.transport == "redis" and broker_url:
            queues = self._options.queues
            self._transport = Hints(broker_url, queues, self._identity, desk, self._heart, poll)
        elif self._options.transport == "redis":
            log.warning("the server names no Redis; asking the API for work instead")
        self._transport.start()
        how = "Redis" if isinstance(self._transport, Hints) else "HTTP"
        log.warning(
            "agent %s (%s) takes runs of %s, %d at a time, by %s",
            self.name,
            self._identity.id,
            ", ".join(self._options.queues),
            self._options.limit,
            how,
        )

    def _make_desk(self) -> Desk:
        settings, registration = self._settings, self._identity.registration
        around = Surroundings(
            agent=self.name,
            launcher=self._launcher,
            launch=self._infrastructures.launch,
            confirm=lambda job, wanted: desk.confirm(job, wanted),
            env={"ORCHESTRATOR_API_URL": settings.api_url, "ORCHESTRATOR_HOME": str(settings.home.expanduser())},
            grace_s=registration.stop_grace_s,
            line_max=settings.log_line_max,
            runs=settings.path("runs"),
            told=lambda job, wanted: told_end(self._api.client, job, wanted),
            take_hooks=lambda job, wanted: take_hooks(self._api, self._outage, job, wanted),
            hook_timeout_s=settings.hook_timeout.total_seconds(),
            remote_env={"ORCHESTRATOR_RESULT_STORAGE": settings.result_storage} if settings.result_storage else {},
        )
        desk = Desk(
            self._api,
            self._identity,
            self._roster,
            self._reporter,
            around,
            list(self._options.queues),
            self._options.limit,
            settings.path("cache", "code"),
            self._outage,
        )
        return desk

    def _end(self) -> None:
        """Claim no more; let runs end, then make them; make their ends known; say goodbye."""
        assert self._desk is not None
        assert self._transport is not None
        if self._roster.running:
            grace = self._identity.registration.stop_grace_s
            log.warning("stopping: %d runs may end within %g s; a second signal ends them now", self.running, grace)
        self._desk.stopping.set()
        transport = threading.Thread(target=self._transport.stop, name="stop-transport", daemon=True)
        transport.start()
        if not self._roster.wait_running(self._identity.registration.stop_grace_s, self.hurry.is_set):
            self._roster.stop_all(hurry=self.hurry.is_set())
            if not self._roster.wait_running(LAST_GRACE, self.hurry.is_set):
                self._roster.stop_all(hurry=True)
                self._roster.wait_running(LAST_GRACE)
        self._roster.wait_settled(HAND_OVER)
        self._heart.stop()
        self._say_goodbye()
        if not self.hurry.is_set():
            transport.join(HAND_OVER)
        self._roster.close()
        log.warning("agent %s is stopped", self.name)

    def _say_goodbye(self) -> None:
        """Upon it the API answers the claim that it may still hold for us, so that nobody waits for that one."""
        try:
            self._api.goodbye(self._identity.id)
        except OrchestratorError as error:
            log.warning("could not say goodbye: %s; the server will notice", error)
