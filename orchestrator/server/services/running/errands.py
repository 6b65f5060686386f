"""Errands: what an agent does with a block because somebody, or the clock, asked: test it, discover, browse, inspect.

An errand is a flow run like any other (queue, claim, lease, logs, time-out), of one flow that lists leave out. Its
entrypoint is a function of :mod:`orchestrator.running.errands`, so it needs no storage; its token loads its own block
only.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, lazyload

from ....documents.records import Actor, WaitingReason
from ....errors import AccessDenied, InvalidInput, NotFound
from ....ids import uuid7
from ....states import TERMINAL, StateType
from ...db.models import Block, Deployment, FlowRun
from ..configuring import blocks
from ..internal import FLOW_ID
from ..recording.announcements import announce, resource
from . import runs, waiting, work_queues

#: What agents can be sent for, with the function that does it and the interface that the block needs.
VERBS = {
    "test": ("orchestrator.running.errands:test_block", ""),
    "discover": ("orchestrator.running.errands:discover_block", "discoverable"),
    "browse": ("orchestrator.running.errands:browse_storage", "file-system"),
    "inspect": ("orchestrator.running.errands:inspect_storage", "file-system"),
    "act": ("orchestrator.running.errands:act", ""),
    "work": ("orchestrator.running.errands:work", ""),
    "call-hooks": ("orchestrator.running.errands:call_hooks", ""),
}
DEFAULT_QUEUE = "default"
#: Somebody waits for an answer, nobody for a look by the clock.
ASKED, BY_THE_CLOCK = 10, -10

_HELD_BY = text(
    "WITH RECURSIVE held AS (SELECT CAST(:own AS uuid) AS id"
    " UNION SELECT r.target_id FROM block_reference r JOIN held ON r.block_id = held.id"
    ") SELECT 1 FROM held WHERE id = :id"
)


@dataclass(frozen=True)
class ErrandResult:
    """How an errand stands."""

    run: uuid.UUID
    verb: str
    state_type: StateType
    message: str
    #: What it gave, once it is COMPLETED.
    value: Any = None
    #: Why it waits, while it does.
    waiting_reason: WaitingReason | None = None

    @property
    def is_done(self) -> bool:
        """Whether nothing more will come."""
        return self.state_type in TERMINAL


def start(
    session: Session,
    verb: str,
    parameters: Mapping[str, Any],
    *,
    work_queue: str,
    actor: Actor,
    now: datetime,
    about: str = "",
    priority: int = ASKED,
    again: bool = False,
) -> uuid.UUID:
    """Send an agent; returns the id of the flow run.

    Args:
        verb: One of :data:`VERBS`.
        parameters: Of its function; ``block_id``, as text, is the block that the run's token may load.
        about: The block's label, for the run's name.
        again: The parameters hold those of an earlier run.
    """
    run_id, _ = runs.create(
        session,
        _deployment(session, verb, work_queue, actor, now),
        parameters=parameters,
        actor=actor,
        now=now,
        name=f"{verb} {about}".strip(),
        priority=priority,
        again=again,
    )
    return run_id


def start_for(
    session: Session,
    verb: str,
    ref: str | uuid.UUID,
    parameters: Mapping[str, Any],
    *,
    work_queue: str,
    actor: Actor,
    now: datetime,
) -> uuid.UUID:
    """Send an agent to a block that somebody names.

    Raises:
        NotFound: There is no such block.
        InvalidInput: Its kind cannot do that.
    """
    block = able(session, verb, ref)
    given = {**parameters, "block_id": str(block.id)}
    run = start(session, verb, given, work_queue=work_queue, actor=actor, now=now, about=blocks.label(block))
    note(session, verb, block, run, actor, now, **{key: parameters[key] for key in ("path",) if key in parameters})
    return run


def note(session: Session, verb: str, block: Block, run: uuid.UUID, actor: Actor, now: datetime, **more: Any) -> None:
    """Record that somebody sent an agent to a block: it uses what is secret there."""
    kind = resource("block-type", block.block_type_id, block.block_type.slug, "block-type")
    about = resource("block", block.id, blocks.label(block))
    announce(session, f"block.{verb}-asked", about, actor, now, [kind], run=str(run), **more)


def able(session: Session, verb: str, ref: str | uuid.UUID) -> Block:
    """The block, whose kind can do what the verb needs. Raises NotFound, InvalidInput."""
    block = blocks.get(session, ref)
    wanted = VERBS[verb][1]
    if wanted and wanted not in block.block_type.interfaces:
        raise InvalidInput(f"block {blocks.label(block)} cannot {verb}: its type has no interface {wanted}")
    return block


def result(session: Session, run_id: uuid.UUID, now: datetime) -> ErrandResult:
    """How an errand stands. Raises NotFound where the run is none, or is forgotten."""
    run = session.get(FlowRun, run_id)
    if run is None or run.flow_id != FLOW_ID:
        raise NotFound(f"there is no errand {run_id}; they are kept for a day")
    state = StateType(run.state_type)
    message, value = run.state_message, None
    if isinstance(run.result, dict):
        value = run.result.get("value")
        message = message or str(run.result.get("omitted", ""))
    reason = waiting.why(session, run_id, now) if state is StateType.SCHEDULED else None
    return ErrandResult(run_id, run.name.partition(" ")[0], state, message, value, reason)


def check_load(session: Session, own: uuid.UUID | None, ref: str | uuid.UUID) -> None:
    """Raise AccessDenied when an errand for the block ``own`` loads another than that one, or one that it holds."""
    if own is None:
        return
    wanted = blocks.get(session, ref).id
    if session.scalar(_HELD_BY, {"own": own, "id": wanted}) is None:
        raise AccessDenied("an errand may load its own block, and those that it holds, alone")


def _deployment(session: Session, verb: str, work_queue: str, actor: Actor, now: datetime) -> Deployment:
    """The deployment of a verb in a queue, made if it is new."""
    queue = work_queues.ensure(session, work_queue, now, actor)
    name = f"{verb} on {work_queue}"
    query = select(Deployment).options(lazyload(Deployment.schedules))
    query = query.where(Deployment.flow_id == FLOW_ID, Deployment.name == name)
    found = session.scalar(query)
    if found is None:
        values = {
            "id": uuid7(now), "flow_id": FLOW_ID, "name": name, "entrypoint": VERBS[verb][0],
            "work_queue_id": queue.id, "tags": [], "infrastructure_overrides": {}, "parameters": {},
            "parameter_schema": {}, "created": now, "updated": now,
        }  # fmt: skip
        session.execute(insert(Deployment).values(values).on_conflict_do_nothing())
        found = session.scalars(query).one()
    return found
