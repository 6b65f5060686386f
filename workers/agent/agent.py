"""The agent: its parts put together, started in order, stopped in order."""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
from dataclasses import dataclass, field
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
from .once import work_once
from .roster import Roster
from .surroundings import Surroundings
from .transports import Hints, LongPoll, Transport
from .verdict import Ask

log = logging.getLogger("orchestrator.agent")

#: Seconds that runs get between SIGTERM and SIGKILL once the time for draining is over.
LAST_GRACE = 5.0
#: Seconds to make the ends of runs known before leaving; what is left waits on disk for the next agent.
HAND_OVER = 10.0


#: Runs that go on when the time for draining is over are waited for, given to another agent, or stopped and CRASHED.
ON_DRAIN = ("wait", "hand-over", "crash")


@dataclass(frozen=True)
class Options:
    """What a person asks of an agent.

    Attributes:
        queues: Work queues to take runs from.
        match: It takes runs of the queues whose names begin like one of these, too, whenever they are made.
        labels: What it offers to deployments that require labels.
        waterfall: Whether runs of an earlier queue always come before those of later ones.
        prefetch_s: Seconds before its time that it takes a run; None: as many as the server says.
        run_once: Whether it stops once it has executed what waits.
        limit: How many runs it executes at a time.
        transport: ``redis`` (hints, with long-polling as the fallback) or ``http`` (long-polling).
        name: What people know it by; computer and process id when empty.
        drain_s: Seconds that runs get to end in their own way when it is stopped; None: the server's stop grace.
        on_drain: What becomes of those that do not: :data:`ON_DRAIN`.
    """

    queues: list[str]
    limit: int = 10
    transport: str = "redis"
    name: str = ""
    match: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    waterfall: bool = False
    prefetch_s: float | None = None
    run_once: bool = False
    drain_s: float | None = None
    on_drain: str = "crash"

    @property
    def by_hints(self) -> bool:
        """Whether it learns of work by hints. They lie in one list a queue, for whoever comes first: to an agent that
        alone may take a run, or does not know its queue yet, they would often come too late.
        """
        return self.transport == "redis" and not (self.labels or self.match or self.run_once)


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
        self._heart: Heart | None = None
        self._transport: Transport | None = None
        self._desk: Desk | None = None
        #: Why it had to give up; empty: it did not.
        self.failure = ""
        #: Set to stop: claim no more, let runs end within the grace.
        self.stopping = threading.Event()
        #: Set to stop at once.
        self.hurry = threading.Event()

    def run(self) -> None:
        """Work until :attr:`stopping` is set, then come to an orderly end.

        Raises:
            AccessDenied: The key is wrong, or may not register agents.
            InvalidInput, Conflict: The server does not take a queue's or the agent's name, or the agent's version.
            LaunchFailed: No process can be started on this computer.
        """
        self._launcher.start()
        try:
            if not self._identity.register(self.stopping):
                return
            self._begin()
            if self._options.run_once:
                work_once(self._at(), self._outage, self.stopping)
            else:
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

    def give_up(self, reason: str) -> None:
        """Stop, as this agent can do no more."""
        if not self.failure:
            self.failure = reason
            log.error("giving up: %s", reason)
        self.stopping.set()

    def _document(self) -> dict[str, Any]:
        options = self._options
        return {
            "name": self.name,
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": __version__,
            "transport": "redis" if options.by_hints else "http",
            "queues": list(options.queues),
            "prefixes": options.match,
            "labels": options.labels,
            "waterfall": options.waterfall,
            "prefetch_s": options.prefetch_s,
            "slots": options.limit,
        }

    def _at(self) -> Desk:
        assert self._desk is not None, "not begun yet"
        return self._desk

    def _begin(self) -> None:
        desk = self._desk = self._make_desk()
        heart = self._heart = Heart(self._api, self._identity, self._roster, self._outage, desk, self.give_up)
        self._roster.start()
        heart.start()
        how = "what waits now"
        if not self._options.run_once:
            self._transport = self._make_transport(desk, heart)
            self._transport.start()
            how = "Redis" if isinstance(self._transport, Hints) else "HTTP"
        queues = [*self._options.queues, *(f"{prefix}*" for prefix in self._options.match)]
        log.warning(
            "agent %s (%s) takes runs of %s, %d at a time, by %s",
            self.name,
            self._identity.id,
            ", ".join(queues),
            self._options.limit,
            how,
        )

    def _make_transport(self, desk: Desk, heart: Heart) -> Transport:
        poll = LongPoll(self._api, self._identity, desk, heart, self._roster, self._outage)
        if not self._options.by_hints:
            return poll
        broker_url = self._identity.registration.broker_url
        if not broker_url:
            log.warning("the server names no Redis; asking the API for work instead")
            return poll
        return Hints(broker_url, self._options.queues, self._identity, desk, heart, poll)

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
            list(self._options.match),
        )
        return desk

    def _end(self) -> None:
        """Claim no more; let runs end, then make them; make their ends known; say goodbye."""
        self._at().stopping.set()
        stopping = threading.Thread(target=self._stop_transport, name="stop-transport", daemon=True)
        stopping.start()
        self._drain()
        self._roster.wait_settled(HAND_OVER)
        assert self._heart is not None
        self._heart.stop()
        self._say_goodbye()
        if not self.hurry.is_set():
            stopping.join(HAND_OVER)
        self._roster.close()
        log.warning("agent %s is stopped", self.name)

    def _stop_transport(self) -> None:
        if self._transport is not None:
            self._transport.stop()

    def _drain(self) -> None:
        """Let runs end in their own way, then do with the others as the options say."""
        patience, policy = self._patience(), self._options.on_drain
        if self._roster.running:
            what = "are waited for" if policy == "wait" else f"may end within {patience:g} s"
            log.warning("stopping: %d runs %s; a second signal ends them now", self.running, what)
        if self._roster.wait_running(patience, self.hurry.is_set):
            return
        what_then = Ask.HAND_OVER if policy == "hand-over" else Ask.STOP
        self._roster.stop_all(self.hurry.is_set(), what_then)
        if not self._roster.wait_running(LAST_GRACE, self.hurry.is_set):
            self._roster.stop_all(True, what_then)
            self._roster.wait_running(LAST_GRACE)

    def _patience(self) -> float:
        """Seconds that runs get to end in their own way."""
        if self._options.on_drain == "wait":
            return math.inf
        drain_s = self._options.drain_s
        return self._identity.registration.stop_grace_s if drain_s is None else drain_s

    def _say_goodbye(self) -> None:
        """Upon it the API answers the claim that it may still hold for us, so that nobody waits for that one."""
        try:
            self._api.goodbye(self._identity.id)
        except OrchestratorError as error:
            log.warning("could not say goodbye: %s; the server will notice", error)
