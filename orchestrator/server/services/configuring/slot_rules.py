"""Who gets slots: first come, first served, all that one asks for at once. Pure.

A request waits for all its limits together and holds none meanwhile, and all stand in one order, that of their arrival:
so no two wait for each other, and whoever waits is reached when those before have had their turn.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Ticket:
    """A request that waits."""

    id: uuid.UUID
    limits: frozenset[uuid.UUID]
    occupy: int
    #: Whether all its limits are among those that are looked at.
    is_whole: bool = True


@dataclass(frozen=True)
class Limit:
    """A limit as it is."""

    id: uuid.UUID
    slots: int
    active: bool
    #: Slots that come back by themselves in a second; None: they are given back.
    decay: float | None
    #: Slots that were out at ``level_at``, where they come back by themselves.
    level: float = 0.0
    level_at: datetime | None = None

    def level_now(self, now: datetime) -> float:
        """How many slots are out, of those that come back by themselves."""
        if self.decay is None or self.level_at is None:
            return 0.0
        passed = max((now - self.level_at).total_seconds(), 0.0)
        return max(self.level - passed * self.decay, 0.0)

    def free(self, held: int, now: datetime) -> float:
        """How many slots are free while so many are held."""
        if not self.active:
            return math.inf
        return self.slots - (held if self.decay is None else self.level_now(now))


def granted(
    waiting: Iterable[Ticket], limits: Mapping[uuid.UUID, Limit], free: Mapping[uuid.UUID, float]
) -> list[Ticket]:
    """Those that get their slots now.

    Args:
        waiting: In the order of their arrival.
        free: Free slots by limit.
    """
    left, taken, closed = dict(free), [], set[uuid.UUID]()
    for ticket in waiting:
        if any(limits[one].active and ticket.occupy > limits[one].slots for one in ticket.limits if one in limits):
            continue  # it can never be served, since the limit was made smaller: its process learns so when it asks
        fits = ticket.is_whole and not closed & ticket.limits
        if fits and all(left[one] >= ticket.occupy for one in ticket.limits):
            for one in ticket.limits:
                left[one] -= ticket.occupy
            taken.append(ticket)
        else:
            closed |= ticket.limits
    return taken
