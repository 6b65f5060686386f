"""The home page: what is happening in the stack right now, red things first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Event
from orchestrator.server.services import ticks
from orchestrator.server.services.acting import holds
from orchestrator.server.services.acting.holds import HoldRow
from orchestrator.server.services.reacting import firings
from orchestrator.server.services.reacting.firings import Open
from orchestrator.server.services.recording import events
from orchestrator.server.services.running import agents, work_queues
from orchestrator.server.services.running.agents import AgentRow
from orchestrator.server.services.running.runs import RunRow
from orchestrator.server.services.running.work_queues import WorkQueueRow
from orchestrator.server.services.watching import overview
from orchestrator.server.services.watching.overview import Counts

from ..looks import ORDER

#: Ranges of the chart: how far back, the length of a bar, how far ahead, and how long the figures are kept.
RANGES = {
    "1h": (timedelta(hours=1), timedelta(minutes=1), timedelta(minutes=15), 1.0),
    "6h": (timedelta(hours=6), timedelta(minutes=10), timedelta(minutes=90), 2.0),
    "24h": (timedelta(days=1), timedelta(minutes=30), timedelta(hours=6), 4.0),
    "7d": (timedelta(days=7), timedelta(hours=6), timedelta(days=1), 20.0),
}

#: A loop that has not gone round for this long is behind.
LOOP_SILENT = 60.0

#: Most holds, missed expectations and open firings that are shown each.
RED = 8

_kept: dict[tuple[str, str], tuple[float, Any]] = {}
_kept_lock = threading.Lock()


@dataclass(frozen=True)
class TowerPage:
    """All that the home page shows."""

    counts: Counts
    chart: dict[str, Any]
    attention: list[RunRow]
    #: In force, newest first, at most :data:`RED`; and what expectations and triggers fired for that is not over.
    holds: list[HoldRow]
    missed: list[Open]
    firings: list[Open]
    #: They wait for somebody's answer.
    asking: list[RunRow]
    running: list[RunRow]
    coming: list[RunRow]
    agents: list[AgentRow]
    queues: list[WorkQueueRow]
    events: list[Event]
    loops: dict[str, ticks.Age]

    @property
    def online(self) -> list[AgentRow]:
        """Agents that are there."""
        return [row for row in self.agents if row.status == "ONLINE"]

    @property
    def lost(self) -> list[AgentRow]:
        """Agents that fell silent without saying good-bye, and those that cannot pull."""
        return [row for row in self.agents if row.status in ("OFFLINE", "UNHEALTHY")]

    @property
    def slots(self) -> int:
        """Slots of all agents that are there."""
        return sum(row.agent.slots for row in self.online)

    @property
    def taken(self) -> int:
        """Slots in use."""
        return sum(row.running for row in self.online)

    @property
    def silent(self) -> list[str]:
        """Loops of the server that are behind."""
        return sorted(name for name, age in self.loops.items() if age.age_s > LOOP_SILENT)

    @property
    def fresh(self) -> bool:
        """Whether nothing has ever run here."""
        return not any(sum(item["data"]) for item in self.chart["series"]) and not (
            self.attention or self.asking or self.events or self.holds
        )


def load(session: Session, wanted: str, now: datetime) -> TowerPage:
    """Read it all. Raises InvalidInput for a range that is not offered."""
    if wanted not in RANGES:
        raise InvalidInput(f"range={wanted} is none of {', '.join(RANGES)}")
    red = firings.still_open(session, RED)
    since, kept_for = now - RANGES[wanted][0], RANGES[wanted][3]
    return TowerPage(
        counts=_for(kept_for, "counts", wanted, lambda: overview.counts(session, since, now)),
        chart=_for(kept_for, "chart", wanted, lambda: chart(session, wanted, now)),
        attention=overview.attention(session, since, now),
        holds=holds.listing(session, now, in_force=True, limit=RED).items,
        missed=[item for item in red if item.expectation_id],
        firings=[item for item in red if item.trigger_id],
        asking=overview.asking(session),
        running=overview.running(session),
        coming=overview.coming(session, now),
        agents=[row for row in agents.listing(session, now) if row.status != "STOPPED"],
        queues=work_queues.listing(session, now, limit=8).items,
        events=events.listing(session, limit=14).items,
        loops=ticks.ages(session, now),
    )


def chart(session: Session, wanted: str, now: datetime) -> dict[str, Any]:
    """Runs by state over time, as the chart's script takes them: stretches in ms, one series a state."""
    back, step, ahead, _ = RANGES[wanted]
    length = step.total_seconds()
    last = now.timestamp() // length * length
    start = datetime.fromtimestamp(last, now.tzinfo) - back
    bars = int((back + ahead) / step) + 1
    series: dict[str, list[int]] = {}
    for bucket in overview.over_time(session, start, start + bars * step, step, now):
        if 0 <= bucket.index < bars:
            series.setdefault(bucket.state_type, [0] * bars)[bucket.index] += bucket.runs
    return {
        "start": int(start.timestamp() * 1000),
        "step": int(length * 1000),
        "bars": bars,
        "now": int(back / step),
        "series": [{"state": state, "data": series[state]} for state in ORDER if state in series],
    }


def forget() -> None:
    """Drop the figures that are kept for a moment; tests use another database each."""
    with _kept_lock:
        _kept.clear()


def _for(seconds: float, what: str, wanted: str, read: Callable[[], Any]) -> Any:
    """What ``read`` gave in the last ``seconds``: many open pages cost one query."""
    with _kept_lock:
        until, value = _kept.get((what, wanted), (0.0, None))
    if time.monotonic() < until:
        return value
    value = read()
    with _kept_lock:
        _kept[what, wanted] = (time.monotonic() + seconds, value)
    return value
