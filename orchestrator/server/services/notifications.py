"""Notifications: an outbox of messages about runs, each sent at least once, or given up for all to see.

What becomes a message is read along the commit-safe cursor (:mod:`.event_cursor`), in the transaction that writes the
outbox, and there is one row for each event and block: a state is never left out and never told twice. The events only
say where to look: what is told stands in the run's history, so that events of others cannot make it up.

A message is sent by a try after the other: ``waiting`` until its next one is due, ``sending`` with the time at which
that counts as failed, ``sent`` or, after :data:`TRIES` of them, ``given-up``. Whoever sends it says so with the number
of the try, so that a late answer does not disturb the next one. When the process that sends one dies, the same message
may be sent once more.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from ... import block_kinds
from ...errors import NotFound, OrchestratorError, Unavailable
from ...ids import uuid7
from ...records import Actor
from ...states import TERMINAL, StateType
from ..config import current
from ..db.models import Block, Deployment, FlowRun, Notification
from . import block_references, blocks, errands, event_cursor, notification_texts, runs
from .announcements import announce, resource
from .notification_texts import Told
from .paging import Page, check_limit, decode_id, page
from .statements import fetch

READER = "notifications"
#: Tries before a message is given up: about four hours with the pauses between them.
TRIES = 12
#: Pause after the first failure; doubled with each, up to the second.
PAUSE, PAUSE_MAX = timedelta(seconds=10), timedelta(hours=1)
#: How long one try may take in this process, and how long an errand may wait for an agent.
TIME_OUT, AGENT_TIME_OUT = timedelta(seconds=90), timedelta(minutes=10)
#: Messages to one notifier that are sent at once.
AT_ONCE = 2
ERROR_MAX = 2000
US = Actor("server", name="notifications")

_RUN = re.compile(r"orchestrator\.flow-run\.([0-9a-f-]{36})")
_WANTED = text("SELECT EXISTS (SELECT 1 FROM deployment_notification)")
_TOLD = """
SELECT e.id AS event_id, n.block_id, t.slug || '/' || coalesce(b.name, b.id::text) AS block, d.id AS deployment_id,
    d.name AS deployment, f.name AS flow, r.id AS run_id, r.name AS run, s.type, s.name AS state, s.message,
    s.attempt, s.at
FROM unnest(%(events)s::uuid[], %(runs)s::uuid[], %(types)s::text[], %(ats)s::timestamptz[]) AS e(id, run, type, at)
JOIN flow_run r ON r.id = e.run JOIN flow f ON f.id = r.flow_id JOIN deployment d ON d.id = r.deployment_id
JOIN deployment_notification n ON n.deployment_id = d.id AND e.type = ANY(n.states)
JOIN block b ON b.id = n.block_id JOIN block_type t ON t.id = b.block_type_id
JOIN LATERAL (
    SELECT s.type, s.name, s.message, s.attempt, s.at FROM flow_run_state s
    WHERE s.flow_run_id = r.id AND s.type = e.type AND s.at = e.at ORDER BY s.id DESC LIMIT 1) s ON true
ORDER BY e.id, n.position"""
#: The oldest few of each block: one that has many does not keep the others waiting.
_DUE = """
SELECT id, block_id FROM (
    SELECT id, block_id, next_try, row_number() OVER (PARTITION BY block_id ORDER BY next_try, id) AS place
    FROM notification WHERE state = 'waiting' AND next_try <= %(now)s) AS waiting
WHERE place <= %(at_once)s ORDER BY next_try, id LIMIT %(batch)s"""


@dataclass(frozen=True)
class NotificationFilter:
    """Which notifications a list shows; what is None does not restrict."""

    state: str | None = None
    flow_run_id: uuid.UUID | None = None
    deployment_id: uuid.UUID | None = None


@dataclass(frozen=True)
class NotificationRow:
    """A notification, with the names of what it is about."""

    notification: Notification
    run_name: str


@dataclass(frozen=True)
class Outgoing:
    """A message that this process is to send: the block's document with its secrets, and which try it is."""

    id: uuid.UUID
    attempt: int
    block_id: uuid.UUID
    document: dict[str, Any]
    subject: str
    body: str

    @property
    def target(self) -> str:
        """What it is sent by."""
        return str(self.block_id)


def collect(session: Session, now: datetime, batch: int) -> int:
    """Read the next events, at most ``batch``, and write the messages that they ask for; returns how many it read."""
    if not session.scalar(_WANTED):
        event_cursor.skip(session, READER, now)
        return 0
    rows = event_cursor.take(session, READER, ("id", "event", "resource_id", "occurred"), batch, now)
    found = [(row, match) for row in rows if (match := _about_a_run(row))]
    if found:
        values = {
            "events": [row.id for row, _ in found],
            "runs": [run_id for _, (run_id, _) in found],
            "types": [kind for _, (_, kind) in found],
            "ats": [row.occurred for row, _ in found],
        }
        _write(session, fetch(session, _TOLD, values), now)
    return len(rows)


def begin_due(
    session: Session, now: datetime, batch: int, room: Callable[[str], bool], hanging: Collection[str] = ()
) -> list[Outgoing]:
    """Begin the tries that are due: agents are sent for kinds that are not ours, the others are returned.

    Args:
        room: Whether this process can send one more message to a block; each yes is used.
        hanging: Blocks that this process still waits for in vain: a try by them fails at once.
    """
    due = fetch(session, _DUE, {"now": now, "at_once": AT_ONCE, "batch": batch})
    ids = [row.id for row in due if str(row.block_id) in hanging or room(str(row.block_id))]
    query = select(Notification).where(Notification.id.in_(ids), Notification.state == "waiting")
    rows = session.scalars(query.order_by(Notification.next_try, Notification.id).with_for_update(skip_locked=True))
    begun = [_begin(session, row, now, str(row.block_id) in hanging) for row in rows.all()]
    session.flush()
    return [item for item in begun if item is not None]


def settle(session: Session, now: datetime, batch: int) -> int:
    """Note how errands ended, and what has taken too long; returns how many there were."""
    errand = select(FlowRun.id).where(
        FlowRun.id == Notification.errand_id, FlowRun.state_type.in_([kind.value for kind in TERMINAL])
    )
    query = (
        select(Notification)
        .where(Notification.state == "sending", (Notification.next_try <= now) | errand.exists())
        .order_by(Notification.id)
        .limit(batch)
        .with_for_update(skip_locked=True)
    )
    rows = session.scalars(query).all()
    for row in rows:
        _settle(session, row, now)
    session.flush()
    return len(rows)


def finish(session: Session, notification_id: uuid.UUID, attempt: int, error: str, now: datetime) -> None:
    """Note how a try in this process ended; ``error`` is empty when the message was taken."""
    query = select(Notification).where(Notification.id == notification_id, Notification.attempts == attempt)
    row = session.scalar(query.with_for_update())
    if row is None or row.state == "sent":
        return
    if not error:
        _sent(row, now)
    elif row.state == "sending":
        _failed(session, row, error, now)


def get(session: Session, notification_id: uuid.UUID) -> NotificationRow:
    """One notification. Raises NotFound."""
    query = select(Notification, FlowRun.name).join(FlowRun, FlowRun.id == Notification.flow_run_id)
    found = session.execute(query.where(Notification.id == notification_id)).first()
    if found is None:
        raise NotFound(f"there is no notification {notification_id}")
    return NotificationRow(*found)


def listing(
    session: Session, wanted: NotificationFilter | None = None, limit: int = 50, cursor: str | None = None
) -> Page[NotificationRow]:
    """A page of notifications, newest first."""
    wanted = wanted or NotificationFilter()
    query = select(Notification, FlowRun.name).join(FlowRun, FlowRun.id == Notification.flow_run_id)
    if wanted.state is not None:
        query = query.where(Notification.state == wanted.state)
    if wanted.flow_run_id is not None:
        query = query.where(Notification.flow_run_id == wanted.flow_run_id)
    if wanted.deployment_id is not None:
        query = query.where(Notification.deployment_id == wanted.deployment_id)
    if cursor:
        query = query.where(Notification.id < decode_id(cursor))
    found = session.execute(query.order_by(Notification.id.desc()).limit(check_limit(limit) + 1)).all()
    return page([NotificationRow(*row) for row in found], limit, lambda row: (row.notification.id,))


def pause(attempts: int) -> timedelta:
    """Time to the next try after so many, without the chance in it."""
    return min(PAUSE * (1 << min(attempts - 1, 20)), PAUSE_MAX)


def _about_a_run(event: Any) -> tuple[uuid.UUID, str] | None:
    """The run and the state type that an event seems to be about."""
    family, _, kind = event.event.partition(".")
    found = _RUN.fullmatch(event.resource_id)
    if family != "flow-run" or found is None or kind.upper() not in StateType.__members__:
        return None
    try:
        return uuid.UUID(found[1]), kind.upper()
    except ValueError:
        return None


def _write(session: Session, rows: Sequence[Any], now: datetime) -> None:
    values = []
    for row in rows:
        told = Told(row.flow, row.deployment, row.run, row.run_id, row.state, row.message, row.at, row.attempt)
        values.append(
            {
                "id": uuid7(),
                "event_id": row.event_id,
                "block_id": row.block_id,
                "block": row.block,
                "deployment_id": row.deployment_id,
                "flow_run_id": row.run_id,
                "run_state": row.type,
                "subject": notification_texts.subject(told),
                "body": notification_texts.body(told, current()),
                "next_try": now,
                "created": now,
            }
        )
    if values:
        session.execute(insert(Notification).values(values).on_conflict_do_nothing())


def _begin(session: Session, row: Notification, now: datetime, hangs: bool) -> Outgoing | None:
    row.attempts += 1
    row.state = "sending"
    try:
        if hangs:
            raise Unavailable("an earlier message to it still hangs")
        block = blocks.get(session, row.block_id)
        if not _is_ours(session, block):
            _send_agent(session, row, block, now)
            return None
        document = blocks.load(session, block.id, US, now)
    except NotFound:
        row.attempts = TRIES
        _failed(session, row, f"the block {row.block} was deleted", now)
        return None
    except OrchestratorError as error:
        _failed(session, row, str(error), now)
        return None
    row.next_try = now + TIME_OUT
    return Outgoing(row.id, row.attempts, row.block_id, document, row.subject, row.body)


def _is_ours(session: Session, block: Block) -> bool:
    """Whether this process may run the block's code: its class, and those of the blocks in it, come with us."""
    held = select(Block).where(Block.id.in_(block_references.held(session, [block.id])))
    slugs = {block.block_type.slug, *(item.block_type.slug for item in session.scalars(held))}
    return all(block_kinds.installed().get(slug, "").startswith("orchestrator.blocks.") for slug in slugs)


def _send_agent(session: Session, row: Notification, block: Block, now: datetime) -> None:
    deployment = session.get(Deployment, row.deployment_id) if row.deployment_id else None
    queue = deployment.work_queue.name if deployment is not None else errands.DEFAULT_QUEUE
    row.errand_id = errands.start(
        session,
        "notify",
        # The errand fetches the message: a parameter must not hold what looks like a template.
        {"block_id": str(block.id), "notification_id": str(row.id)},
        work_queue=queue,
        actor=US,
        now=now,
        about=blocks.label(block),
        priority=0,
    )
    row.next_try = now + AGENT_TIME_OUT


def _settle(session: Session, row: Notification, now: datetime) -> None:
    run = session.get(FlowRun, row.errand_id) if row.errand_id else None
    if run is None:
        _failed(session, row, f"no answer within {TIME_OUT.total_seconds():g} s", now)
    elif run.state_type == StateType.COMPLETED:
        _sent(row, now)
    elif run.state_type in TERMINAL:
        _failed(session, row, run.state_message or f"the errand ended as {run.state_name}", now)
    elif run.state_type == StateType.SCHEDULED:
        runs.cancel(session, run.id, US, now)
        minutes = f"{AGENT_TIME_OUT.total_seconds() / 60:g}"
        _failed(session, row, f"its kind needs an agent, and none took it within {minutes} minutes", now)
    else:
        # An agent is at it; the errand has a time-out of its own.
        row.next_try = now + AGENT_TIME_OUT


def _sent(row: Notification, now: datetime) -> None:
    row.state, row.sent, row.next_try, row.given_up, row.error = "sent", now, None, None, ""


def _failed(session: Session, row: Notification, error: str, now: datetime) -> None:
    row.error, row.errand_id = error.replace("\x00", "")[:ERROR_MAX], None
    if row.attempts < TRIES:
        row.state = "waiting"
        row.next_try = now + pause(row.attempts) * random.uniform(0.9, 1.1)
        return
    row.state, row.given_up, row.next_try = "given-up", now, None
    run = session.get_one(FlowRun, row.flow_run_id)
    related = [resource("block", row.block_id, row.block, "notifier")]
    if run.deployment_id is not None:
        name = session.scalar(select(Deployment.name).where(Deployment.id == run.deployment_id))
        related.append(resource("deployment", run.deployment_id, name, "deployment"))
    about = resource("flow-run", run.id, run.name)
    announce(
        session, "notification.failed", about, US, now, related,
        notification=str(row.id), subject=row.subject, attempts=row.attempts, error=row.error,
    )  # fmt: skip
