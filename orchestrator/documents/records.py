"""The plain records that cross the wire, as the client and the agents see them.

Each mirrors one JSON object of the REST API (a contract test holds them against the OpenAPI document). Reading ignores
keys it does not know, so that an older client understands a newer server.
"""

from __future__ import annotations

import dataclasses
import typing
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from ..clock import from_text, now, to_text
from ..states import DISPLAY_NAMES, TERMINAL, StateType

R = TypeVar("R", bound="Record")


class Record:
    """Base of all records: to and from JSON-ready dicts."""

    @classmethod
    def read(cls: type[R], data: Mapping[str, Any]) -> R:
        """Build the record from decoded JSON. Raises KeyError or ValueError where it does not fit."""
        kinds = _kinds(cls)
        return cls(**{name: _from_json(kind, data[name]) for name, kind in kinds.items() if name in data})

    def write(self) -> dict[str, Any]:
        """The record as a dict that JSON can hold; times as RFC 3339 text, ids as text."""
        return {item.name: _to_json(getattr(self, item.name)) for item in dataclasses.fields(self)}  # type: ignore[arg-type]


@dataclass(frozen=True)
class State(Record):
    """One state of a run."""

    type: StateType
    name: str = ""
    message: str = ""
    at: datetime = field(default_factory=now)
    #: Facts beside the message, such as ``exit_code``, ``signal``, ``traceback``.
    details: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", DISPLAY_NAMES[self.type])

    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self.type in TERMINAL

    def is_scheduled(self) -> bool:
        """Whether the run waits for its time, an agent or its next try."""
        return self.type is StateType.SCHEDULED

    def is_pending(self) -> bool:
        """Whether the run is about to start."""
        return self.type is StateType.PENDING

    def is_running(self) -> bool:
        """Whether its code executes."""
        return self.type is StateType.RUNNING

    def is_paused(self) -> bool:
        """Whether the run waits for a person."""
        return self.type is StateType.PAUSED

    def is_cancelling(self) -> bool:
        """Whether the run was asked to stop."""
        return self.type is StateType.CANCELLING

    def is_completed(self) -> bool:
        """Whether the run did what was asked of it."""
        return self.type is StateType.COMPLETED

    def is_failed(self) -> bool:
        """Whether its code raised, or ran over its time."""
        return self.type is StateType.FAILED

    def is_crashed(self) -> bool:
        """Whether the world stopped it."""
        return self.type is StateType.CRASHED

    def is_cancelled(self) -> bool:
        """Whether a person, a rule or another run stopped it."""
        return self.type is StateType.CANCELLED


@dataclass(frozen=True)
class Actor(Record):
    """Who caused something: ``type`` is ``api-key``, ``agent``, ``run``, ``schedule``, ``process`` or ``server``."""

    type: str
    id: str = ""
    name: str = ""


@dataclass(frozen=True)
class Reference(Record):
    """An id with the name that goes with it."""

    id: uuid.UUID
    name: str


#: Codes of :class:`WaitingReason`; the first that applies is told.
WAITING_CODES = (
    "asks", "suspended", "not-queued", "no-deployment", "not-due", "deployment-not-ready", "deployment-paused",
    "queue-paused", "queue-draining", "limit-full", "deployment-limit", "held", "earlier-run", "backfill-full",
    "no-agent-on-queue", "agents-offline", "no-agent-with-labels", "agents-full", "broker-down", "any-moment",
)  # fmt: skip


@dataclass(frozen=True)
class WaitingReason(Record):
    """Why a run waits: ``code`` is for programs, ``message`` for people."""

    code: str
    message: str


@dataclass(frozen=True)
class FlowRun(Record):
    """A flow run, as ``GET flow-runs/{id}`` tells it."""

    id: uuid.UUID
    name: str
    flow: Reference
    state: State
    deployment: Reference | None = None
    attempt: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    work_queue: str | None = None
    priority: int = 0
    due: datetime | None = None
    slot: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    created: datetime | None = None
    agent_id: uuid.UUID | None = None
    snapshot: str | None = None
    parent_flow_run_id: uuid.UUID | None = None
    parent_task_run_id: uuid.UUID | None = None
    #: The backfill that made it.
    backfill_id: uuid.UUID | None = None
    #: How often its code was begun before it last waited for another try; how often it was queued again after a crash.
    tries: int = 0
    crashes: int = 0
    created_by: Actor | None = None
    result: dict[str, Any] | None = None
    #: Why it waits, while it does; told of one run at a time, not in lists.
    waiting_reason: WaitingReason | None = None


@dataclass(frozen=True)
class TaskRun(Record):
    """A task run, as ``GET task-runs/{id}`` tells it."""

    id: uuid.UUID
    flow_run_id: uuid.UUID
    name: str
    task_key: str
    state: State
    flow_attempt: int = 0
    attempt: int = 0
    tags: list[str] = field(default_factory=list)
    upstream: list[uuid.UUID] = field(default_factory=list)
    parent_id: uuid.UUID | None = None
    started: datetime | None = None
    ended: datetime | None = None
    #: What it returned, or where that lies; None: nothing was kept.
    result: dict[str, Any] | None = None


@dataclass(frozen=True)
class Storage(Record):
    """Where a deployment's code lies."""

    block_id: uuid.UUID | None
    path: str = ""
    #: Hash of the snapshot's manifest; None: the folder is used as it is found.
    snapshot: str | None = None


@dataclass(frozen=True)
class Infrastructure(Record):
    """What a run is executed in: a block (None: a plain process) and what is laid over its fields."""

    block_id: uuid.UUID | None = None
    overrides: dict[str, Any] = field(default_factory=dict)
    #: When the block, or one that it holds, was last changed; part of the agent's cache key.
    updated: datetime | None = None


@dataclass(frozen=True)
class Results(Record):
    """Where results go that are too large to be kept with the run."""

    block_id: uuid.UUID
    #: Folder in it, templates not yet filled in; empty: ``results``.
    path: str = ""


@dataclass(frozen=True)
class Job(Record):
    """A claimed run: all that an agent needs to execute it, as ``POST agents/{id}/claim`` answers."""

    id: uuid.UUID
    attempt: int
    name: str
    flow: str
    state: State
    entrypoint: str
    #: Key for the run's own process: good for this run and attempt only.
    token: str
    deployment: Reference | None = None
    storage: Storage | None = None
    infrastructure: Infrastructure = field(default_factory=Infrastructure)
    parameters: dict[str, Any] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    work_queue: str = ""
    #: How long until it may start; agents count it down on a monotonic clock.
    starts_in_ms: int = 0
    #: How often its code was begun by earlier attempts, since a person last asked for it.
    tries: int = 0
    #: None: where the setting of whoever executes it says.
    results: Results | None = None


@dataclass(frozen=True)
class Registration(Record):
    """What the server answers to a new agent."""

    agent_id: uuid.UUID
    #: Redis to take hints from; None: long-poll over HTTP.
    broker_url: str | None
    lease_s: float
    heartbeat_s: float
    stop_grace_s: float


def learn() -> None:
    """Work out now what reading records takes: a fork of this process has it then."""
    for record in Record.__subclasses__():
        _kinds(record)


def _kinds(record: type[Record]) -> dict[str, Any]:
    """The fields of a record with their types, worked out once."""
    found = _known.get(record)
    if found is None:
        kinds = typing.get_type_hints(record)
        names = [item.name for item in dataclasses.fields(record)]  # type: ignore[arg-type]
        found = _known[record] = {name: kinds[name] for name in names}
    return found


_known: dict[type[Record], dict[str, Any]] = {}


def _from_json(kind: Any, value: Any) -> Any:
    options = [option for option in typing.get_args(kind) if option is not type(None)]
    if value is None:
        return None
    if typing.get_origin(kind) is list:
        return [_from_json(options[0], item) for item in value]
    if typing.get_origin(kind) is None and isinstance(kind, type):
        if issubclass(kind, Record):
            return value if isinstance(value, kind) else kind.read(value)
        if kind in (uuid.UUID, StateType):
            return value if isinstance(value, kind) else kind(value)
        if kind is datetime:
            return value if isinstance(value, datetime) else from_text(value)
        return value
    if len(options) == 1 and typing.get_origin(kind) is not dict:  # X | None
        return _from_json(options[0], value)
    return value


def _to_json(value: Any) -> Any:
    if isinstance(value, Record):
        return value.write()
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, StateType):
        return value.value
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    return value
