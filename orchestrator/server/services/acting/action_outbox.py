"""Having actions done that firings asked for: each exactly once where this database is all that it touches, at least
once where another system is; or given up, for all to see.

Most kinds act within the transaction that notes that they are done. The outgoing ones act by a block: a thread of this
process for our own kinds of block, an agent for others; they are done by a try after the other. An action is
``waiting`` until its next one is due, ``running`` with the time at which that counts as failed, then ``done`` or, after
:data:`.action_results.TRIES` of them, ``given-up``. Whoever does it says so with the number of the try, so that a late
answer does not disturb the next one. When the process that does one dies, the same may be done once more.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput, NotFound, OrchestratorError, Unavailable
from ....kinds import block_kinds
from ....states import TERMINAL, StateType
from ...db.models import Action, Block, Deployment, Firing, FlowRun, Trigger
from ..configuring import block_references, blocks
from ..running import errands, runs
from ..statements import execute, fetch
from . import action_kinds, action_results, action_scene
from .action_asking import prepare
from .action_kind import Kind, Nothing
from .action_results import BREAK_AFTER, Ended
from .action_scene import Scene

#: How long one try may take in this process, and how long an errand may wait for an agent.
TIME_OUT, AGENT_TIME_OUT = timedelta(seconds=90), timedelta(minutes=10)
#: Actions upon one target that are done at once.
AT_ONCE = 2
US = Actor("server", name="actions")

#: The oldest few of each target: one that has many does not keep the others waiting. One that has failed again and
#: again is tried with a single action.
_DUE = """
SELECT id, target FROM (
    SELECT a.id, a.target, a.next_try, coalesce(t.failures, 0) AS failures,
        row_number() OVER (PARTITION BY a.target ORDER BY a.next_try, a.id) AS place
    FROM action a LEFT JOIN action_target t ON t.target = a.target
    WHERE a.state = 'waiting' AND a.next_try <= %(now)s AND a.target <> '') AS waiting
WHERE place <= CASE WHEN failures >= %(break_after)s THEN 1 ELSE %(at_once)s END
ORDER BY next_try, id LIMIT %(batch)s"""
_REST = """
UPDATE action a SET next_try = t.open_until,
    error = a.target || ' rests after ' || t.failures || ' failures in a row, the last: ' || t.error
FROM action_target t
WHERE a.target = t.target AND t.open_until > %(now)s AND a.state = 'waiting' AND a.next_try <= %(now)s
    AND a.moment <> 'test'"""

_OTHERS = """
SELECT EXISTS (SELECT 1 FROM action WHERE state = 'running')
    OR EXISTS (SELECT 1 FROM action WHERE state = 'waiting' AND next_try <= %(now)s AND target <> '') AS found"""


@dataclass(frozen=True)
class Outgoing:
    """What this process is to do outside of any transaction: with the block's document, secrets and all."""

    id: uuid.UUID
    #: Which try it is.
    attempt: int
    target: str
    document: dict[str, Any]
    kind: str
    content: dict[str, Any]


def perform(session: Session, now: datetime, batch: int) -> int:
    """Do the actions that are due and touch nothing but this database; returns how many there were.

    Those of a kind that is done for many at once come first, all together; one that the database refuses undoes
    nothing but itself: then each is done alone.
    """
    rows, scene = action_scene.due(session, now, batch)
    kinds = action_kinds.installed()
    left = {row.id: row for row in rows}
    for name in sorted({row.kind for row in rows if row.kind in kinds and kinds[row.kind].together}):
        alike = [row for row in rows if row.kind == name]
        if len(alike) > 1 and _perform_all(session, scene, kinds[name], alike, now):
            left = {key: row for key, row in left.items() if row.kind != name}
    for row in left.values():
        _perform(session, scene, row, now)
    session.flush()
    action_scene.note(session, rows)
    scene.write(session, now)
    return len(rows)


def others_wait(session: Session, now: datetime) -> bool:
    """Whether :func:`settle` or :func:`begin_due` may have anything to do."""
    found: bool = fetch(session, _OTHERS, {"now": now})[0].found
    return found


def begin_due(
    session: Session, now: datetime, batch: int, room: Callable[[str], bool], hanging: Collection[str] = ()
) -> list[Outgoing]:
    """Begin the outgoing actions that are due: agents are sent for kinds of block that are not ours, the others are
    returned.

    Args:
        room: Whether this process can do one more upon a target; each yes is used.
        hanging: Targets that this process still waits for in vain: a try upon them fails at once.
    """
    execute(session, _REST, {"now": now})
    wanted = {"now": now, "at_once": AT_ONCE, "batch": batch, "break_after": BREAK_AFTER}
    ids = [row.id for row in fetch(session, _DUE, wanted) if row.target in hanging or room(row.target)]
    query = select(Action).where(Action.id.in_(ids), Action.state == "waiting")
    rows = session.scalars(query.order_by(Action.next_try, Action.id).with_for_update(skip_locked=True)).all()
    scene = action_scene.of(session, rows)
    begun = [_begin(session, scene, row, now, row.target in hanging) for row in rows]
    session.flush()
    scene.write(session, now)
    return [item for item in begun if item is not None]


def settle(session: Session, now: datetime, batch: int) -> int:
    """Note how errands ended, and what has taken too long; returns how many there were."""
    errand = select(FlowRun.id).where(
        FlowRun.id == Action.errand_id, FlowRun.state_type.in_([kind.value for kind in TERMINAL])
    )
    query = (
        select(Action)
        .where(Action.state == "running", (Action.next_try <= now) | errand.exists())
        .order_by(Action.id)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(query).all()
    scene = action_scene.of(session, rows)
    for row in rows:
        _settle(session, scene, row, now)
    session.flush()
    scene.write(session, now)
    return len(rows)


def finish(session: Session, action_id: uuid.UUID, attempt: int, error: str, now: datetime, result: Any = None) -> None:
    """Note how a try in this process ended; ``error`` is empty when it was done."""
    query = select(Action).where(Action.id == action_id, Action.attempts == attempt)
    row = session.scalar(query.with_for_update())
    if row is None or row.state in ("done", "skipped"):
        return
    scene = action_scene.of(session, [row])
    if not error:
        action_results.done(session, scene, row, result, now)
    elif row.state == "running":
        action_results.failed(session, scene, row, error, now)
    scene.write(session, now)


def _perform_all(session: Session, scene: Scene, kind: Kind, rows: Sequence[Action], now: datetime) -> bool:
    """Do actions of one kind at once; False: nothing was done, since the database refused."""
    callbacks = len(session.info.get("after_commit", ()))
    values: dict[uuid.UUID, dict[str, Any]] = {}
    ends: dict[uuid.UUID, Any] = {}
    try:
        with session.begin_nested():
            asked = []
            for row in rows:
                try:
                    asked.append(prepare(session, scene, row, now)[1])
                except OrchestratorError as error:
                    ends[row.id] = error
            for item, end in zip(asked, kind.act_all(session, asked, now), strict=True):
                values[item.action_id], ends[item.action_id] = dict(item.values), end
    except SQLAlchemyError:
        del session.info.get("after_commit", [])[callbacks:]
        return False
    for row in rows:
        row.attempts += 1
        if isinstance(ends[row.id], Exception):
            action_results.ended(session, scene, row, *_why(ends[row.id]), now)
        else:
            row.rendered = values[row.id]
            action_results.done(session, scene, row, ends[row.id], now)
    return True


def _perform(session: Session, scene: Scene, row: Action, now: datetime) -> None:
    row.attempts += 1
    callbacks = len(session.info.get("after_commit", ()))
    try:
        with session.begin_nested():
            kind, asked = prepare(session, scene, row, now)
            result = kind.act(session, asked, now)
    except (Nothing, OrchestratorError, SQLAlchemyError) as error:
        # What a rolled back action wanted done after the commit is not to be done.
        del session.info.get("after_commit", [])[callbacks:]
        action_results.ended(session, scene, row, *_why(error), now)
    else:
        row.rendered = dict(asked.values)
        action_results.done(session, scene, row, result, now)


def _why(error: Exception) -> tuple[Ended, str]:
    """How an action ended that raised an error, and what is told of it."""
    if isinstance(error, Nothing):
        return Ended.SKIPPED, str(error)
    if isinstance(error, (InvalidInput, NotFound, Conflict)):
        # It would not go better the next time, unless somebody changes something; then it is done again by hand.
        return Ended.FOR_GOOD, str(error)
    return Ended.FAILED, f"{type(error).__name__}: {error}"


def _begin(session: Session, scene: Scene, row: Action, now: datetime, hangs: bool) -> Outgoing | None:
    row.attempts += 1
    row.state = "running"
    try:
        if hangs:
            raise Unavailable("an earlier one still hangs")
        block = blocks.get(session, row.target)
        kind, asked = prepare(session, scene, row, now)
        row.rendered = kind.content(session, asked, now)
        if not _is_ours(session, block):
            _send_agent(session, row, block, now)
            return None
        document = blocks.load(session, block.id, US, now)
    except Nothing as reason:
        action_results.ended(session, scene, row, Ended.SKIPPED, str(reason), now)
        return None
    except NotFound:
        action_results.ended(session, scene, row, Ended.FOR_GOOD, f"the block {row.target} was deleted", now)
        return None
    except InvalidInput as error:
        action_results.ended(session, scene, row, Ended.FOR_GOOD, str(error), now)
        return None
    except OrchestratorError as error:
        action_results.failed(session, scene, row, str(error), now)
        return None
    row.next_try = now + TIME_OUT
    return Outgoing(row.id, row.attempts, row.target, document, row.kind, row.rendered)


def _is_ours(session: Session, block: Block) -> bool:
    """Whether this process may run the block's code: its class, and those of the blocks in it, come with us."""
    held = select(Block).where(Block.id.in_(block_references.held(session, [block.id])))
    slugs = {block.block_type.slug, *(item.block_type.slug for item in session.scalars(held))}
    return all(block_kinds.installed().get(slug, "").startswith("orchestrator.blocks.") for slug in slugs)


def _send_agent(session: Session, row: Action, block: Block, now: datetime) -> None:
    query = (
        select(Deployment)
        .join(Trigger, Trigger.deployment_id == Deployment.id)
        .join(Firing, Firing.trigger_id == Trigger.id)
        .where(Firing.id == row.firing_id)
    )
    owner = session.scalar(query)
    row.errand_id = errands.start(
        session,
        "act",
        # The errand fetches what it is to do: a parameter must not hold what looks like a template.
        {"block_id": str(block.id), "action_id": str(row.id)},
        work_queue=owner.work_queue.name if owner is not None else errands.DEFAULT_QUEUE,
        actor=US,
        now=now,
        about=f"{row.kind} by {blocks.label(block)}",
        priority=0,
    )
    row.next_try = now + AGENT_TIME_OUT


def _settle(session: Session, scene: Scene, row: Action, now: datetime) -> None:
    run = session.get(FlowRun, row.errand_id) if row.errand_id else None
    if run is None:
        action_results.failed(session, scene, row, f"no answer within {TIME_OUT.total_seconds():g} s", now)
    elif run.state_type == StateType.COMPLETED:
        value = run.result.get("value") if isinstance(run.result, dict) else None
        action_results.done(session, scene, row, value if isinstance(value, dict) else {}, now)
    elif run.state_type in TERMINAL:
        action_results.failed(session, scene, row, run.state_message or f"the errand ended as {run.state_name}", now)
    elif run.state_type == StateType.SCHEDULED:
        runs.cancel(session, run.id, US, now)
        minutes = f"{AGENT_TIME_OUT.total_seconds() / 60:g}"
        error = f"its kind of block needs an agent, and none took it within {minutes} minutes"
        action_results.failed(session, scene, row, error, now, blamed=False)
    else:
        # An agent is at it; the errand has a time-out of its own.
        row.next_try = now + AGENT_TIME_OUT
