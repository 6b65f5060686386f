"""What became of a try: the action's next state, its event (which the scene writes), and the circuit breaker of its
target.

A target that failed :data:`BREAK_AFTER` times in a row rests; after that one action at a time tries whether it is back.
"""

from __future__ import annotations

import enum
import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.orm import Session

from ...db.json_text import json_text
from ...db.models import Action, ActionTarget, Block, Firing
from ..configuring import block_lookup
from ..recording.announcements import announcement, resource
from ..statements import execute
from .action_asking import actor_of
from .action_kind import CHAIN
from .action_scene import Scene

#: Tries before an action is given up: about four hours with the pauses between them.
TRIES = 12
#: Pause after the first failure; doubled with each, up to the second.
PAUSE, PAUSE_MAX = timedelta(seconds=10), timedelta(hours=1)
#: Failures in a row after which a target rests, and how long: the first time, and at most.
BREAK_AFTER, REST, REST_MAX = 5, timedelta(seconds=30), timedelta(minutes=10)
#: The moment of a message that is sent to see whether it arrives: it is tried once.
TEST = "test"
ERROR_MAX = 2000
#: Runs that an event names.
RELATED_MOST = 50
#: Characters of a result, as JSON, that are kept.
RESULT_MAX = 20_000

_BLAME = """
INSERT INTO action_target (target, failures, error, updated) VALUES (%(target)s, 1, %(error)s, %(now)s)
ON CONFLICT (target) DO UPDATE SET failures = action_target.failures + 1, error = excluded.error,
    updated = excluded.updated,
    open_until = CASE WHEN action_target.failures + 1 >= %(after)s THEN %(now)s::timestamptz + least(
        %(rest)s * power(2, least(action_target.failures + 1 - %(after)s, 20)), %(most)s) * interval '1 second' END"""


class Ended(enum.Enum):
    """How a try ended that did not do what it was to do."""

    #: It is tried again, unless that was the last time.
    FAILED = "failed"
    #: Trying again would not help.
    FOR_GOOD = "for good"
    #: There was nothing to do.
    SKIPPED = "skipped"


def pause(attempts: int) -> timedelta:
    """Time to the next try after so many, without the chance in it."""
    return min(PAUSE * (1 << min(attempts - 1, 20)), PAUSE_MAX)


def done(session: Session, scene: Scene, row: Action, result: Any, now: datetime) -> None:
    """Note that an action is done."""
    row.state, row.ended, row.next_try, row.error = "done", now, None, ""
    row.result = _kept(result)
    if row.target:
        session.execute(delete(ActionTarget).where(ActionTarget.target == row.target))
    _announce(session, scene, "done", row, now, result=row.result)


def failed(session: Session, scene: Scene, row: Action, error: str, now: datetime, *, blamed: bool = True) -> None:
    """Note that a try failed.

    Args:
        blamed: The target is to blame.
    """
    if blamed and row.target:
        _blame(session, row.target, error, now)
    ended(session, scene, row, Ended.FAILED, error, now)


def ended(session: Session, scene: Scene, row: Action, how: Ended, error: str, now: datetime) -> None:
    """Note how a try ended that did not do what it was to do, and why."""
    row.error, row.errand_id = error.replace("\x00", "")[:ERROR_MAX], None
    if how is Ended.SKIPPED:
        row.state, row.ended, row.next_try = "skipped", now, None
        return
    if how is Ended.FAILED and row.attempts < TRIES and row.moment != TEST:
        row.state = "waiting"
        row.next_try = now + pause(row.attempts) * random.uniform(0.9, 1.1)
        _announce(session, scene, "failed", row, now, error=row.error)
        return
    row.state, row.ended, row.next_try = "given-up", now, None
    _announce(session, scene, "given-up", row, now, error=row.error)


def _blame(session: Session, target: str, error: str, now: datetime) -> None:
    values = {
        "target": target, "error": error.replace("\x00", "")[:ERROR_MAX], "now": now, "after": BREAK_AFTER,
        "rest": REST.total_seconds(), "most": REST_MAX.total_seconds(),
    }  # fmt: skip
    execute(session, _BLAME, values)


def _kept(result: Any) -> Any:
    if result is None:
        return {}
    text = json_text(result)
    return result if len(text) <= RESULT_MAX else {"cut": text[:RESULT_MAX]}


def _announce(session: Session, scene: Scene, verb: str, row: Action, now: datetime, **payload: Any) -> None:
    firing, trigger = scene.of(row)
    related: list[dict[str, str]] = []
    if trigger is not None:
        related.append(resource("trigger", trigger.id, trigger.name, "trigger"))
        related += [scene.owners[trigger.id]] if trigger.id in scene.owners else []
    related += _led_to(row) + _acted_upon(session, row) + _involved(firing, related)
    chain = {"resource.id": f"orchestrator.chain.{firing.chain_id}", "chain.depth": str(firing.depth)}
    related.append({**chain, "resource.role": CHAIN})
    facts: dict[str, Any] = {
        "by": actor_of(firing, trigger).write(), "kind": row.kind, "moment": row.moment, "attempts": row.attempts,
        "firing": str(firing.id), **payload,
    }  # fmt: skip
    about = resource("action", row.id, row.kind)
    scene.told.append(announcement(f"action.{verb}", about, now, related, facts))


def _led_to(row: Action) -> list[dict[str, str]]:
    result = row.result if isinstance(row.result, dict) else {}
    run_ids = [*([result["run_id"]] if "run_id" in result else []), *result.get("run_ids", ())]
    return [resource("flow-run", uuid.UUID(run_id), None, "started") for run_id in run_ids[:RELATED_MOST]]


def _acted_upon(session: Session, row: Action) -> list[dict[str, str]]:
    found: Block | None = session.scalar(block_lookup.wanted(row.target)) if row.target else None
    return [] if found is None else [resource("block", found.id, row.target, "target")]


def _involved(firing: Firing, known: list[dict[str, str]]) -> list[dict[str, str]]:
    """The resource of the event that made the firing."""
    event = firing.context.get("event")
    labels = event.get("resource") if isinstance(event, dict) else None
    if not isinstance(labels, dict) or not labels.get("resource.id"):
        return []
    if any(item["resource.id"] == labels["resource.id"] for item in known):
        return []
    return [{**{str(name): str(value) for name, value in labels.items()}, "resource.role": "cause"}]
