"""``python -m orchestrator.workers.remote``: executes one claimed run where no agent is: in a container, in a pod.

The infrastructure that started it gave it, in its environment, ``ORCHESTRATOR_API_URL``, the run's own token in
``ORCHESTRATOR_API_KEY``, ``ORCHESTRATOR_RUN_ID`` and ``ORCHESTRATOR_RUN_ATTEMPT``. It fetches the job, executes the
flow in a process that it supervises as an agent does, reports over HTTP, and tells how the flow ended. Where it is
asked to stop (SIGTERM) it says nothing of the end: whoever asked knows why. The token dies with the attempt; when it is
refused, the run is ended at once, so that a run which was given up goes on nowhere.

It exits with 0 when the flow completed, 1 when it did not and the server knows, 3 when the run is not its own any more,
4 when it was stopped or could not begin.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from orchestrator import settings
from orchestrator.client import Client, patiently
from orchestrator.documents.records import FlowRun, Job, State
from orchestrator.errors import AccessDenied, Conflict, NotFound, OrchestratorError, SettingsError
from orchestrator.ids import uuid7
from orchestrator.reporting import Reporter
from orchestrator.settings import Settings
from orchestrator.states import StateType
from orchestrator.stored import template_values
from orchestrator.stored.block_store import ApiBlockStore

from .agent import hook_calls
from .agent.api import AgentApi
from .agent.confirming import confirm_start, take_hooks
from .agent.identity import Outage
from .agent.launcher import SpawnLauncher
from .agent.supervision import Supervision
from .agent.surroundings import Surroundings
from .agent.verdict import Ask, Facts, verdict

log = logging.getLogger("orchestrator.remote")

COMPLETED, NOT_COMPLETED, NOT_OURS, STOPPED = 0, 1, 3, 4
#: Seconds that one try to hand over the last reports may take.
HAND_OVER = 10.0
#: What the server says of a token whose attempt is over.
_OVER = (AccessDenied, NotFound, Conflict)


class _Attempt(Supervision):
    """The supervision of the one run; an end that was asked for from outside is told by those who asked."""

    def verdict(self, facts: Facts) -> State | None:
        state = verdict(facts)
        return None if facts.ask is Ask.STOP and state is not facts.end else state


class Remote:
    """Executes one run.

    Args:
        found: Where the API is, and the run's token.
        run_id: The run.
        attempt: Which attempt of it the token is for.
    """

    def __init__(self, found: Settings, run_id: uuid.UUID, attempt: int) -> None:
        self._settings = found
        self._run_id, self._attempt = run_id, attempt
        self._client = Client(found.api_url, found.api_key)
        self._outage = Outage("the API", "waiting for it, the run goes on")
        self._supervision: _Attempt | None = None
        self._stopping = threading.Event()
        #: Set once the end was put, after which the token may die; and once nothing is left to guard.
        self._told, self._done = threading.Event(), threading.Event()
        self._lost = False

    def stop(self) -> None:
        """Take the run down; whoever asks for it says why."""
        self._stopping.set()
        if self._supervision is not None:
            self._supervision.ask(Ask.STOP)

    def run(self) -> int:
        """Execute the run to its end; the exit code."""
        try:
            job = self._job()
        except _OVER as error:
            log.error("the run %s is not to be executed here: %s", self._run_id, error)
            return NOT_OURS
        if job is None:
            return STOPPED
        reporter = Reporter(self._client, self._settings.path("spool"), spool_max=self._settings.spool_max)
        threading.Thread(target=self._guard, name="guard", daemon=True).start()
        try:
            state = self._execute(job, reporter)
            self._told.set()
            if state is not None:
                self._hand_over(reporter)
            else:
                reporter.flush(HAND_OVER)
        finally:
            self._done.set()
            reporter.close(0.0 if self._lost else HAND_OVER)
        if state is None:
            return NOT_OURS if self._lost else STOPPED
        return COMPLETED if state.type is StateType.COMPLETED else NOT_COMPLETED

    def _job(self) -> Job | None:
        try:
            return Job.read(
                patiently(
                    lambda: self._client.get(f"flow-runs/{self._run_id}/job"), lambda: not self._stopping.is_set()
                )
            )
        except OrchestratorError:
            if self._stopping.is_set():
                return None
            raise

    def _execute(self, job: Job, reporter: Reporter) -> State | None:
        producer = uuid7()
        put: Callable[[dict[str, Any] | bytes], None] = lambda item: reporter.put(item, producer)  # noqa: E731
        launcher = SpawnLauncher()
        self._supervision = _Attempt(
            job, put, self._surroundings(launcher), time.monotonic(), call_hooks=hook_calls.call
        )
        if self._stopping.is_set():
            self._supervision.ask(Ask.STOP)
        self._hide_secrets(job, self._supervision)
        try:
            return self._supervision.run()
        finally:
            launcher.stop()

    def _hide_secrets(self, job: Job, supervision: Supervision) -> None:
        """Learn what is secret in the infrastructure, which may have put it into this environment."""
        found = job.infrastructure
        if found.block_id is None:
            return
        store, wanted = ApiBlockStore(self._client, supervision.hide), lambda: not self._stopping.is_set()
        try:
            patiently(lambda: store.load(str(found.block_id)), wanted)
            place = "infrastructure.overrides"
            template_values.resolved(found.overrides, lambda: self._client, place, wanted, supervision.hide)
        except OrchestratorError as error:
            log.warning("what is secret in the infrastructure is not known here: %s", error)

    def _surroundings(self, launcher: SpawnLauncher) -> Surroundings:
        found, api = self._settings, AgentApi(self._client)
        return Surroundings(
            agent=socket.gethostname(),
            launcher=launcher,
            launch=lambda job, spec, host, wanted: host.start(spec),
            confirm=lambda job, wanted: confirm_start(api, self._outage, job, wanted),
            env={"ORCHESTRATOR_API_URL": found.api_url, "ORCHESTRATOR_HOME": str(found.home.expanduser())},
            grace_s=found.stop_grace.total_seconds(),
            line_max=found.log_line_max,
            runs=found.path("runs"),
            take_hooks=lambda job, wanted: take_hooks(api, self._outage, job, wanted),
            hook_timeout_s=found.hook_timeout.total_seconds(),
        )

    def _hand_over(self, reporter: Reporter) -> None:
        """The end has to become known, however long the API is away; with this container goes what was not told."""
        while not reporter.flush(HAND_OVER) and not self._lost:
            time.sleep(1.0)

    def _guard(self) -> None:
        """End the run when it is cancelled, or is not ours any more: its agent may be gone, and cannot."""
        while not self._done.wait(self._settings.heartbeat.total_seconds()):
            try:
                run = FlowRun.read(self._client.get(f"flow-runs/{self._run_id}"))
            except _OVER as error:
                if not self._told.is_set():
                    log.warning("the run %s is not ours any more: %s", self._run_id, error)
                self._lose()
                return
            except OrchestratorError as error:
                self._outage.begins(error)
            else:
                self._outage.ends()
                if run.state.type is StateType.CANCELLING and self._supervision is not None:
                    self._supervision.ask(Ask.CANCEL)

    def _lose(self) -> None:
        self._lost = True
        if self._supervision is not None:
            self._supervision.ask(Ask.LOST)


def main() -> int:
    """Execute the run that the environment names; the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        remote = Remote(settings.load(), *_named())
        # As the first process of a container, it would ignore what it does not handle.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: remote.stop())
        return remote.run()
    except OrchestratorError as error:
        print(f"orchestrator: {error}", file=sys.stderr)
        return STOPPED


def _named() -> tuple[uuid.UUID, int]:
    try:
        return uuid.UUID(os.environ["ORCHESTRATOR_RUN_ID"]), int(os.environ["ORCHESTRATOR_RUN_ATTEMPT"])
    except (KeyError, ValueError) as error:
        raise SettingsError(
            f"this program is started by infrastructure blocks, which set ORCHESTRATOR_RUN_ID and "
            f"ORCHESTRATOR_RUN_ATTEMPT: {error}"
        ) from None


if __name__ == "__main__":
    sys.exit(main())
