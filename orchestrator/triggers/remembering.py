"""What every condition's machine gives, and the sorted, bounded lists of times that they remember."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Times that a key remembers beyond those that the threshold needs; then the oldest are forgotten.
MEMORY = 50

#: What a machine remembers: JSON.
Memory = dict[str, Any]


@dataclass(frozen=True)
class Fired:
    """A condition was met at a time; ``causes`` are the events (ids) that it was met by."""

    at: int
    causes: tuple[str, ...] = ()
    #: How many events it took, and when the first of them was.
    count: int = 0
    first: int | None = None


@dataclass(frozen=True)
class Resolved:
    """What a condition fired for was over at a time."""

    at: int
    causes: tuple[str, ...] = ()


Happened = Fired | Resolved
