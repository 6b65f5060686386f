"""The queues, with the agents that serve each; and the limits, with the runs that hold them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from orchestrator.server.services.configuring import limits
from orchestrator.server.services.configuring.limits import LimitRow
from orchestrator.server.services.paging import Page
from orchestrator.server.services.running import agents, work_queues
from orchestrator.server.services.running.agents import AgentRow
from orchestrator.server.services.running.work_queues import WorkQueueRow


@dataclass(frozen=True)
class QueuesPage:
    """One page of queues, by name who serves them, and the limits."""

    rows: Page[WorkQueueRow]
    serving: dict[str, list[AgentRow]]
    limits: Page[LimitRow]


def load(session: Session, now: datetime, cursor: str | None) -> QueuesPage:
    """Read a page of the list."""
    rows, found = work_queues.listing(session, now, cursor=cursor), agents.listing(session, now)
    names = [row.queue.name for row in rows.items]
    serving = {name: [agent for agent in found if agent.serves(name)] for name in names}
    return QueuesPage(rows, serving, limits.listing(session))
