"""Long-polls: requests that wait for work. One thread a process asks Postgres for all of them together."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ..clock import now
from .config import current
from .db import session as database
from .services.statements import CLAIMABLE, FITS, fetch
from .waiting_room import Room, Waiter


@dataclass(frozen=True)
class Wish:
    """What kind of work is waited for: an agent's labels, and how long before its time it takes a run."""

    labels: frozenset[str]
    ahead: timedelta


@dataclass(eq=False)
class _Waiter(Waiter):
    queues: frozenset[str]
    wish: Wish
    agent_id: uuid.UUID | None
    since: datetime
    found_work: bool = False


_QUEUES_SQL = f"""
SELECT q.name FROM work_queue q WHERE q.name = ANY(%(queues)s) AND EXISTS (
    SELECT 1 FROM flow_run r JOIN deployment d ON d.id = r.deployment_id
    WHERE r.work_queue_id = q.id AND {FITS} AND {CLAIMABLE})"""
_NEWS_SQL = """
SELECT agent_id, max(cancel_asked) FROM flow_run
WHERE agent_id = ANY(%(agents)s) AND state_type = 'CANCELLING' AND cancel_asked IS NOT NULL GROUP BY agent_id
UNION ALL SELECT id, stopped FROM agent WHERE id = ANY(%(agents)s) AND stopped IS NOT NULL"""


def _look(waiters: Sequence[_Waiter]) -> None:
    agents = [waiter.agent_id for waiter in waiters if waiter.agent_id is not None]
    with database.reading() as session:
        ready = {wish: _ready(session, wish, waiters) for wish in {waiter.wish for waiter in waiters}}
        rows = fetch(session, _NEWS_SQL, {"agents": agents}) if agents else []
    for waiter in waiters:
        waiter.found_work = bool(waiter.queues & ready[waiter.wish])
        if waiter.found_work or any(agent == waiter.agent_id and at >= waiter.since for agent, at in rows):
            waiter.woken.set()


def _ready(session: Session, wish: Wish, waiters: Sequence[_Waiter]) -> set[str]:
    """The queues that have work of a kind, among those that are waited for by somebody who wants it."""
    queues = sorted({name for waiter in waiters if waiter.wish == wish for name in waiter.queues})
    wanted = {"queues": queues, "labels": sorted(wish.labels), "horizon": now() + wish.ahead}
    return {name for (name,) in fetch(session, _QUEUES_SQL, wanted)}


_room: Room[_Waiter] = Room("waiters", _look)


def wait_for_work(
    queues: Sequence[str], timeout: float, agent_id: uuid.UUID | None = None, wish: Wish | None = None
) -> bool:
    """Wait until a run can be claimed from one of the queues.

    Args:
        timeout: Seconds.
        agent_id: Return early (False) as well when a cancel is asked of a run that this agent holds, so that it
            sends a heartbeat at once; and when the agent says good-bye.
        wish: What kind of work; any that requires no labels when not given.

    Returns:
        Whether there is work. Another may take it first: claim, and wait again for what is left of the time.
    """
    deadline = time.monotonic() + timeout
    waiter = _Waiter(frozenset(queues), wish or Wish(frozenset(), current().dispatch_ahead), agent_id, now())
    _room.wait(waiter, max(deadline - time.monotonic(), 0.0))
    return waiter.found_work


def wake() -> None:
    """Have those who wait in this process looked after at once: a run was created here."""
    _room.wake()
