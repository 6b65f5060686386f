"""Asking the server whether user code may start, and how a run ended that told so itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from orchestrator.client import Client, patiently
from orchestrator.documents.records import FlowRun, Job, State
from orchestrator.errors import AccessDenied, Conflict, NotFound, OrchestratorError
from orchestrator.states import StateType, is_over

from .api import AgentApi, back_off
from .identity import Outage
from .verdict import Ask

log = logging.getLogger("orchestrator.agent")

#: Codes of refused starts: the attempt is over for us; or its time has not come by the server's clock.
SUPERSEDED, NOT_DUE = frozenset({"stale-attempt", "suspended", "terminal"}), "not-due"


def confirm_start(api: AgentApi, outage: Outage, job: Job, wanted: Callable[[], bool]) -> Ask:
    """Ask whether the job's code may start; what to do with the run, :attr:`Ask.NOTHING` to let it go on.

    Waits while the API is away and the answer is ``wanted``.
    """
    for pause in back_off(0.2, 5.0):
        if not wanted():
            return Ask.NOTHING
        try:
            api.confirm(job.id, job.attempt)
            return Ask.NOTHING
        except NotFound:
            return Ask.LOST
        except Conflict as error:
            if (code := getattr(error, "code", "")) != NOT_DUE:
                log.info("the run %s may not start: %s", job.id, error)
                return Ask.LOST if code in SUPERSEDED else Ask.CANCEL
        except OrchestratorError as error:
            outage.begins(error)
        time.sleep(pause)
    return Ask.NOTHING  # pragma: no cover - the pauses never end


def take_hooks(api: AgentApi, outage: Outage, job: Job, wanted: Callable[[], bool]) -> bool:
    """Ask whether the hooks for the end of the job's attempt are to be called here.

    Waits while the API is away and the answer is ``wanted``; without one they are not: the server finds them left
    once it hears of the end, and sends somebody.
    """
    for pause in back_off(0.2, 5.0):
        if not wanted():
            return False
        try:
            return api.take_hooks(job.id, job.attempt)
        except (NotFound, AccessDenied):
            return False
        except OrchestratorError as error:
            outage.begins(error)
        time.sleep(pause)
    return False  # pragma: no cover - the pauses never end


def told_end(client: Client, job: Job, wanted: Callable[[], bool]) -> State | None:
    """The end that the server knows of the job's attempt; None when it knows none.

    Waits while the API is away and the answer is ``wanted``.

    Raises:
        NotFound: The run is not ours any more: deleted, or at another attempt.
        OrchestratorError: There is no answer.
    """
    run = FlowRun.read(patiently(lambda: client.get(f"flow-runs/{job.id}"), wanted))
    if run.attempt != job.attempt:
        raise NotFound(f"the flow run {job.id} is at attempt {run.attempt}")
    over = is_over(run.state.type, run.state.name) or run.state.type is StateType.SCHEDULED  # it is to be tried again
    return run.state if over else None
