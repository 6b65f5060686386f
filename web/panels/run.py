"""One run: what it is, why it is where it is, and what it left behind."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.clock import to_text
from orchestrator.errors import InvalidInput
from orchestrator.serializers import loads
from orchestrator.server.db.models import (
    Artifact,
    Block,
    Event,
    FlowQuestion,
    FlowRun,
    FlowRunState,
    Hold,
    Log,
    TaskRun,
)
from orchestrator.server.services.acting import actions, holds
from orchestrator.server.services.acting.actions import ActionFilter, ActionRow
from orchestrator.server.services.configuring import block_lookup
from orchestrator.server.services.mapping import eta
from orchestrator.server.services.mapping.eta_rules import Eta
from orchestrator.server.services.recording import events
from orchestrator.server.services.recording.events import EventFilter
from orchestrator.server.services.running import artifacts, logs, questions, run_details, runs, waiting
from orchestrator.server.services.running.artifacts import ArtifactFilter
from orchestrator.server.services.running.logs import LogFilter
from orchestrator.server.services.running.run_details import RunContext
from orchestrator.server.services.running.run_filters import RunFilter
from orchestrator.server.services.running.runs import RunRow
from orchestrator.states import SUSPENDED, SUSPENDING, TERMINAL, UNSUCCESSFUL, StateType, is_held

#: Tabs of the page: key and title.
TABS = {
    "overview": "Overview",
    "artifacts": "Artifacts",
    "states": "States",
    "inputs": "Parameters and result",
    "subflows": "Subflow runs",
    "events": "Events",
}

#: Most results of tasks on one page.
RESULTS_MAX = 100

LEVELS = {10: "DEBUG", 20: "INFO", 30: "WARNING", 40: "ERROR", 50: "CRITICAL"}


@dataclass
class RunPage:
    """All that one tab of the page shows."""

    run: FlowRun
    context: RunContext
    tab: str
    why: str
    tallies: dict[str, int]
    states: list[FlowRunState] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    subflows: list[RunRow] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    #: What triggers had done because of the run, each with the block that does it, where that was not deleted.
    actions: list[tuple[ActionRow, Block | None]] = field(default_factory=list)
    #: The block that keeps the result, where one does and it was not deleted.
    result_block: Block | None = None
    #: Task runs that kept a result, at most :data:`RESULTS_MAX`.
    results: list[TaskRun] = field(default_factory=list)
    #: Those in force that hold its deployment, while it waits.
    holds: list[Hold] = field(default_factory=list)
    #: What it asks, and waits to be told.
    question: FlowQuestion | None = None
    #: What it has asked so far.
    questions: Sequence[FlowQuestion] = ()
    #: When it will be done; None once it is.
    eta: Eta | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self.run.state_type in TERMINAL

    @property
    def asked(self) -> list[str]:
        """The fields that it asks for, in their order."""
        schema = (self.question.schema if self.question is not None else None) or {}
        fields = schema.get("properties", {})
        return sorted(fields, key=lambda name: fields[name].get("position", len(fields)))

    @property
    def can_cancel(self) -> bool:
        """Whether cancelling would still do something."""
        return not self.over and (self.run.state_type != StateType.CANCELLING or self.run.state_name == SUSPENDING)

    @property
    def can_suspend(self) -> bool:
        """Whether it could wait, and an agent take it up again."""
        goes_on = self.run.state_type in (StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING)
        waits = self.run.state_type == StateType.PAUSED and self.run.state_name != SUSPENDED
        return (goes_on or waits) and self.run.deployment_id is not None

    @property
    def can_resume(self) -> bool:
        """Whether it waits for somebody to resume it, and for nothing else to be said."""
        if self.run.state_type != StateType.PAUSED or (self.question is not None and self.question.schema is not None):
            return False
        return self.run.state_name != SUSPENDED or self.run.deployment_id is not None

    @property
    def can_retry(self) -> bool:
        """Whether the run did not do what was asked of it, and an agent could try once more."""
        return self.run.state_type in UNSUCCESSFUL and self.run.deployment_id is not None

    @property
    def can_run_again(self) -> bool:
        """Whether there is code that an agent could run again."""
        return self.over and self.run.deployment_id is not None


def load(session: Session, run_id: uuid.UUID, tab: str, now: datetime) -> RunPage:
    """Read what a tab needs, and no more. Raises NotFound; InvalidInput for a tab that does not exist."""
    if tab not in TABS:
        raise InvalidInput(f"tab={tab} is none of {', '.join(TABS)}")
    run = runs.get(session, run_id)
    context = run_details.context(session, run)
    page = RunPage(run, context, tab, why(session, run, context, now), run_details.tallies(session, run_id))
    page.question = questions.pending(session, run_id)
    if run.state_type == StateType.SCHEDULED and run.deployment_id is not None:
        page.holds = holds.on_deployment(session, run.deployment_id)
    if tab == "overview":
        if run.state_type in (StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED):
            page.eta = eta.of_run(session, run_id, now)
        done = actions.listing(session, ActionFilter(flow_run_id=run_id), 20)
        page.actions = [
            (row, session.scalar(block_lookup.wanted(row.action.target)) if row.action.target else None)
            for row in done.items
        ]
    elif tab == "states":
        page.states = runs.states(session, run_id)
    elif tab == "artifacts":
        page.artifacts = artifacts.listing(session, ArtifactFilter(flow_run_id=run_id), 100, oldest_first=True).items
    elif tab == "subflows":
        page.subflows = runs.listing(session, RunFilter(parent_flow_run_id=run_id), 100, None).items
    elif tab == "inputs":
        page.result_block = _result_block(session, run)
        page.questions = questions.listing(session, run_id)
        page.results = run_details.results(session, run, RESULTS_MAX)
    elif tab == "events":
        page.events = events.listing(session, EventFilter(resource_id=f"orchestrator.flow-run.{run_id}"), 100).items
    return page


def why(session: Session, run: FlowRun, context: RunContext, now: datetime) -> str:
    """One sentence that says why the run is where it is; empty when the state's own message says it all."""
    if run.state_type in (StateType.SCHEDULED, StateType.PAUSED):
        reason = waiting.why(session, run.id, now)
        return "" if reason is None or reason.code == "asks" else reason.message  # what it asks is a panel of its own
    if run.state_type == StateType.PENDING:
        return f"The agent {context.agent.name} is preparing the code." if context.agent else "About to start."
    if run.state_type == StateType.CANCELLING and not (run.work_queue_id or run.parent_flow_run_id):
        return "A cancel was asked for; it was started by hand, so its process is not stopped."
    if run.state_type == StateType.CANCELLING and run.state_name == SUSPENDING:
        return "Its processes are being taken down; then it waits until it is resumed."
    if run.state_type == StateType.CANCELLING:
        return "It was asked to stop; its processes are being taken down."
    if is_held(StateType(run.state_type), run.state_name) and run.lease_until and run.lease_until < now:
        who = "agent" if run.work_queue_id else "process"
        return f"Its {who} has fallen silent; the run becomes Crashed when it stays so."
    return ""


def read_answer(text: str) -> dict[str, Any]:
    """The answer that the form sent. Raises InvalidInput where it is no JSON object."""
    try:
        value = loads(text) if text.strip() else {}
    except ValueError as error:
        raise InvalidInput("the answer is no JSON", {"": [f"This is no JSON: {error}."]}) from None
    if not isinstance(value, dict):
        raise InvalidInput("the answer is no JSON object", {"": ["The answer has to be a JSON object."]})
    return value


def refusal(error: InvalidInput) -> dict[str, list[str]]:
    """What is wrong with an answer, by field; ``""`` holds what belongs to none."""
    found = error.errors or {"": [str(error)]}
    return {name.removeprefix("input").removeprefix("."): texts for name, texts in found.items()}


def _result_block(session: Session, run: FlowRun) -> Block | None:
    try:
        key = uuid.UUID(str((run.result or {}).get("block")))
    except ValueError:
        return None
    return session.get(Block, key)


def timeline(session: Session, run_id: uuid.UUID, attempt: int | None, since: datetime | None) -> dict[str, Any]:
    """The task runs for the timeline, times in milliseconds, and the instant to ask from next time."""
    run = runs.get(session, run_id)
    rows = run_details.timeline(session, run_id, attempt, since)
    return {
        "run": {"start": _ms(run.started), "end": _ms(run.ended), "over": run.state_type in TERMINAL},
        "tasks": [
            [str(row.id), row.name, row.state_type, row.state_name, _ms(row.started), _ms(row.ended), row.attempt]
            for row in rows
        ],
        "since": to_text(max(row.state_at for row in rows)) if rows else None,
        "most": run_details.TIMELINE_MAX,
    }


def log_lines(session: Session, wanted: LogFilter, before: uuid.UUID | None) -> dict[str, Any]:
    """Lines of the log for the page's script."""
    lines, more = logs.tail(session, wanted, before=before)
    over = runs.get(session, wanted.flow_run_id).state_type in TERMINAL
    return {
        "lines": [
            [str(line.id), _ms(line.at), line.level, LEVELS.get(line.level, str(line.level)), line.logger, line.message]
            for line in lines
        ],
        "more": more,
        "over": over,
    }


def as_text(line: Log) -> str:
    """A line as the downloaded file holds it."""
    return f"{to_text(line.at)} {LEVELS.get(line.level, line.level):<8} {line.logger}: {line.message}\n"


def _ms(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)
