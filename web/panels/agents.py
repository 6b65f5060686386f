"""The agents, those that are there first, with the runs they hold."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from orchestrator.server.services.running import agents, run_briefs
from orchestrator.server.services.running.agents import AgentRow
from orchestrator.server.services.running.run_briefs import RunBrief

_ORDER = {"UNHEALTHY": 0, "ONLINE": 1, "OFFLINE": 2, "STOPPED": 3}

#: How many agents that have gone are still shown.
GONE_MAX = 10


@dataclass(frozen=True)
class AgentsPage:
    """Agents by status, and what each holds."""

    rows: list[AgentRow]
    held: dict[uuid.UUID, list[RunBrief]]
    online: int


def load(session: Session, now: datetime) -> AgentsPage:
    """Read the list; of those that stopped, the last few."""
    found = sorted(agents.listing(session, now), key=lambda row: _ORDER[row.status])
    here = [row for row in found if row.status != "STOPPED"]
    rows = here + [row for row in found if row.status == "STOPPED"][:GONE_MAX]
    held = run_briefs.held_by(session, [row.agent.id for row in here if row.running])
    return AgentsPage(rows, held, sum(row.status == "ONLINE" for row in rows))
