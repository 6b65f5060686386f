"""The form that makes or changes a deployment: what it begins with, and what it asks for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marshmallow import ValidationError
from sqlalchemy.orm import Session

from orchestrator import serializers
from orchestrator.errors import Conflict, InvalidInput, OrchestratorError, ScheduleError
from orchestrator.server.db.models import Block, Deployment
from orchestrator.server.schemas.deployments import DeploymentInputSchema
from orchestrator.server.schemas.errands import PathInputSchema
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.deploying import calendars, deployment_documents, deployments, schedules
from orchestrator.server.services.paging import LIMIT_MAX
from orchestrator.server.services.running import agents, work_queues
from orchestrator.server.services.running.errands import DEFAULT_QUEUE
from orchestrator.timing.calendars import BUILT_IN
from orchestrator.timing.plans import ALL_FIELDS

from .deployments import refusal

#: Times that the preview of a schedule shows.
AHEAD = 5
#: What a new deployment begins with.
EMPTY: dict[str, Any] = {
    "flow": "", "name": "", "entrypoint": "", "description": "", "tags": [], "version": "", "storage": None,
    "infrastructure": None, "results": None, "notifications": [], "reads": [], "writes": [],
    "work_queue": DEFAULT_QUEUE, "crash_retries": 0, "concurrency_limit": None, "collision": "enqueue", "labels": [],
    "parameters": {},
    "schedules": [], "parameter_schema": {},
}  # fmt: skip


@dataclass(frozen=True)
class Queue:
    """A queue to choose, and how many agents serve it now."""

    name: str
    agents: int


@dataclass(frozen=True)
class Form:
    """What the form begins with."""

    #: The deployment that is changed, or copied; None: there is none yet.
    source: Deployment | None
    #: As a document, with the ids of its blocks.
    value: dict[str, Any]
    #: The blocks that it refers to: their labels by id.
    labels: dict[str, str]
    #: Which version of the deployment this is.
    version: str
    queues: list[Queue]
    #: Names of calendars to choose from.
    calendars: list[str]


@dataclass(frozen=True)
class Place:
    """Where an agent is sent to look."""

    block_id: uuid.UUID
    path: str
    work_queue: str


def new(session: Session, now: datetime) -> Form:
    """The form that makes a deployment from nothing."""
    return Form(None, EMPTY, {}, "", _queues(session, now), _calendars(session))


def of(session: Session, deployment_id: uuid.UUID, now: datetime, copy: bool = False) -> Form:
    """The form that changes a deployment, or makes another one like it. Raises NotFound."""
    deployment = deployments.get(session, deployment_id)
    value = deployment_documents.of(session, deployment)
    version = _version(value)
    labels: dict[str, str] = {}
    for role, block_id in (
        ("storage", deployment.storage_block_id),
        ("infrastructure", deployment.infrastructure_block_id),
        ("results", deployment.results_block_id),
    ):
        if block_id is not None:
            value[role] = {**value[role], "block": str(block_id)}
            labels[str(block_id)] = blocks.label(session.get_one(Block, block_id))
    if copy:
        value["name"] = f"{deployment.name}-copy"
    return Form(deployment, value, labels, version, _queues(session, now), _calendars(session))


def _calendars(session: Session) -> list[str]:
    return [*BUILT_IN, *(row.name for row in calendars.listing(session, LIMIT_MAX).items)]


def check_unchanged(session: Session, deployment_id: uuid.UUID, version: str) -> Deployment:
    """The deployment, where it still is as the form knew it. Raises NotFound, Conflict."""
    found = deployments.get(session, deployment_id)
    if _version(deployment_documents.of(session, found)) != version:
        raise Conflict(
            "Somebody changed this deployment since you opened the form. It was not saved: look at the deployment in"
            " another tab, then load this page again and repeat what you did."
        )
    return found


def read(form: Mapping[str, str]) -> dict[str, Any]:
    """The document that the form asks for, checked as REST does.

    Raises:
        InvalidInput: It is none; ``errors`` name the fields.
    """
    try:
        sent = serializers.loads(form.get("document", ""))
    except ValueError:
        sent = None
    if not isinstance(sent, dict):
        raise InvalidInput("the form is damaged: load the page again")
    try:
        document: dict[str, Any] = DeploymentInputSchema().load(sent)
    except ValidationError as error:
        found = dict(_flat(error.normalized_messages()))  # type: ignore[no-untyped-call]
        raise InvalidInput("the deployment is not complete", found) from None
    return document


def read_place(form: Mapping[str, str]) -> Place:
    """Where the form sends an agent to look. Raises InvalidInput."""
    try:
        block_id = uuid.UUID(form.get("block", ""))
    except ValueError:
        raise InvalidInput("choose a storage") from None
    try:
        asked = PathInputSchema().load(
            {"path": form.get("path", ""), "work_queue": form.get("work_queue") or DEFAULT_QUEUE}
        )
    except ValidationError as error:
        name, texts = next(iter(_flat(error.normalized_messages())))  # type: ignore[no-untyped-call]
        raise InvalidInput(f"{name}: {texts[0]}") from None
    return Place(block_id, asked["path"], asked["work_queue"])


def preview(session: Session, arguments: Mapping[str, str], now: datetime) -> dict[str, Any]:
    """When a schedule would fire: ``{"times": [...]}``, or ``{"errors": {field: [...]}}``."""
    given: dict[str, Any] = {name: arguments[name] for name in ALL_FIELDS if arguments.get(name)}
    if "day_or" in given:
        given["day_or"] = given["day_or"] != "false"
    if "skip_dates" in given:
        given["skip_dates"] = given["skip_dates"].split(",")
    try:
        return {"times": schedules.preview(session, given, now, AHEAD)}
    except (ScheduleError, InvalidInput) as error:
        return {"errors": error.errors or {"": [str(error)]}}


def problems(error: OrchestratorError) -> dict[str, list[str]]:
    """An error as messages by field of the document; ``""`` holds what belongs to none."""
    found = refusal(error)
    return {field: [text[:1].upper() + text[1:] for text in texts] for field, texts in found.items()}


def _version(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(serializers.dumps(document)).hexdigest()


def _queues(session: Session, now: datetime) -> list[Queue]:
    found = agents.listing(session, now)
    known = {row.queue.name for row in work_queues.listing(session, now, LIMIT_MAX).items} | {DEFAULT_QUEUE}
    names = [DEFAULT_QUEUE, *sorted(known - {DEFAULT_QUEUE})]
    return [Queue(name, sum(row.serves(name) for row in found)) for name in names]


def _flat(messages: Any, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """Nested messages as ``schedules.0.cron``: texts."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            own = path if key == "_schema" else f"{path}.{key}" if path else str(key)
            yield from _flat(inner, own)
    else:
        yield path, [str(text) for text in messages]
