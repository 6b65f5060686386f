"""Deployments: the list with each one's past and future, and one deployment's page."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.clock import from_text
from orchestrator.errors import InvalidInput, OrchestratorError, ParameterError
from orchestrator.expectations import read, sentence
from orchestrator.serializers import loads
from orchestrator.server.db.models import Block, Deployment, Expectation, Hold, SavedForm, Schedule
from orchestrator.server.services.acting import holds
from orchestrator.server.services.configuring import block_lookup
from orchestrator.server.services.deploying import deployment_notifications, deployments, saved_forms, schedules
from orchestrator.server.services.deploying.backfills import BackfillRow
from orchestrator.server.services.deploying.deployments import DeploymentFilter
from orchestrator.server.services.expecting import expectations
from orchestrator.server.services.paging import Page
from orchestrator.server.services.running import deployment_templates, run_briefs, runs
from orchestrator.server.services.running.deployment_templates import Use
from orchestrator.server.services.running.run_briefs import RunBrief
from orchestrator.server.services.running.run_filters import RunFilter
from orchestrator.server.services.running.runs import RunRow

from . import backfills

#: Runs shown in a history bar, and firings shown ahead of a schedule.
HISTORY, AHEAD = 14, 5


@dataclass(frozen=True)
class DeploymentsPage:
    """One page of the list, with the runs behind and ahead of each."""

    rows: Page[Deployment]
    history: dict[uuid.UUID, list[RunBrief]]
    upcoming: dict[uuid.UUID, list[RunBrief]]


@dataclass(frozen=True)
class DeploymentPage:
    """What one deployment's page shows."""

    deployment: Deployment
    name: str
    storage: Block | None
    infrastructure: Block | None
    results: Block | None
    #: Who is told of its runs: the block, what it is called, and the states.
    notifications: list[tuple[Block, str, list[str]]]
    ahead: list[tuple[Schedule, list[datetime]]]
    history: list[RunBrief]
    #: The next ones, soonest last.
    coming: list[RunBrief]
    runs: list[RunRow]
    looked_up: list[Use]
    #: Those in force that hold it.
    holds: list[Hold]
    forms: list[SavedForm]
    #: What is expected of it, in a sentence each.
    expected: list[tuple[Expectation, str]]
    #: The last ones.
    backfills: list[BackfillRow]


@dataclass(frozen=True)
class Launch:
    """A run as its form asks for it."""

    parameters: dict[str, Any]
    due: datetime | None
    name: str | None
    tags: tuple[str, ...]
    #: The name under which its parameters are kept; empty: they are not.
    keep_as: str


def choices(session: Session) -> list[tuple[uuid.UUID, str]]:
    """Deployments to choose from in a filter."""
    return deployments.full_names(session)


def listing(session: Session, text: str, tag: str, cursor: str | None) -> DeploymentsPage:
    """Read one page of the list."""
    page = deployments.listing(session, DeploymentFilter(name=text or None, tag=tag or None), 50, cursor)
    ids = [item.id for item in page.items]
    return DeploymentsPage(page, run_briefs.history(session, ids, HISTORY), run_briefs.upcoming(session, ids))


def load(session: Session, deployment_id: uuid.UUID, now: datetime) -> DeploymentPage:
    """Read one deployment. Raises NotFound."""
    found = deployments.get(session, deployment_id)
    keys = (found.storage_block_id, found.infrastructure_block_id, found.results_block_id)
    blocks = [session.get(Block, key) if key else None for key in keys]
    return DeploymentPage(
        deployment=found,
        name=f"{found.flow.name}/{found.name}",
        storage=blocks[0],
        infrastructure=blocks[1],
        results=blocks[2],
        notifications=_told(session, found),
        ahead=[(item, schedules.upcoming(session, item, now, AHEAD)) for item in found.schedules],
        history=run_briefs.history(session, [deployment_id], 40)[deployment_id],
        coming=run_briefs.upcoming(session, [deployment_id], 3)[deployment_id],
        runs=runs.listing(session, RunFilter(deployment_id=deployment_id, due_before=now), 20, None).items,
        looked_up=deployment_templates.uses(session, found),
        holds=holds.on_deployment(session, deployment_id),
        forms=saved_forms.of(session, [deployment_id])[deployment_id],
        expected=_expected(session, found),
        backfills=backfills.recent(session, deployment_id),
    )


def _expected(session: Session, deployment: Deployment) -> list[tuple[Expectation, str]]:
    name = f"{deployment.flow.name}/{deployment.name}"
    found = expectations.of_deployment(session, deployment.id, name)
    return [(row, sentence(read(row.document))) for row in found]


def _told(session: Session, deployment: Deployment) -> list[tuple[Block, str, list[str]]]:
    """Who is told of its runs, and of which states; notifiers that were deleted meanwhile are left out."""
    named = [(deployment_notifications.block_of(item), item) for item in deployment.notifications]
    found = [(session.scalar(block_lookup.wanted(name)), name, item) for name, item in named]
    return [
        (block, name, [state.upper() for state in deployment_notifications.states_of(item)])
        for block, name, item in found
        if block is not None
    ]


def read_launch(form: dict[str, str]) -> Launch:
    """Read what the form sent.

    Raises:
        InvalidInput: A field is not what it should be; ``errors`` names it.
    """
    return Launch(
        parameters=_object(form.get("parameters", "")),
        due=_due(form.get("due", "")) if form.get("when") == "later" else None,
        name=form.get("name", "").strip() or None,
        tags=tuple(part.strip() for part in form.get("tags", "").split(",") if part.strip()),
        keep_as=_form_name(form.get("keep_as", "").strip()),
    )


def refusal(error: OrchestratorError) -> dict[str, list[str]]:
    """An error as messages by field; ``""`` holds what belongs to none."""
    if isinstance(error, ParameterError) and error.errors:
        return {f"parameters.{name}": texts for name, texts in error.errors.items()}
    if isinstance(error, InvalidInput) and error.errors:
        return dict(error.errors)
    return {"": [str(error)]}


def _form_name(name: str) -> str:
    if "/" in name or len(name) > 100:
        raise InvalidInput(
            "the form's name", {"keep_as": ["Give the form a name of at most 100 letters, without a /."]}
        )
    return name


def _object(text: str) -> dict[str, Any]:
    try:
        value = loads(text) if text.strip() else {}
    except ValueError as error:
        raise InvalidInput("the parameters are no JSON", {"parameters": [f"This is no JSON: {error}."]}) from None
    if not isinstance(value, dict):
        raise InvalidInput("the parameters are no JSON object", {"parameters": ["Give a JSON object: {...}."]})
    return value


def _due(text: str) -> datetime:
    if not text:
        raise InvalidInput("the time is missing", {"due": ["Say when the run is to start."]})
    try:
        return from_text(text)
    except ValueError:
        problem = "This is no time: write 2027-01-31T09:00:00Z, or with an offset such as +01:00."
        raise InvalidInput("the time cannot be read", {"due": [problem]}) from None
