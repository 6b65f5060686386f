"""What happens to cached results."""

from __future__ import annotations

from .facts import BEFORE, Family, action

FAMILY = Family(
    "cached-result",
    "orchestrator.cached-result.<id>",
    "Results that calls of a task share across runs.",
    (action("deleted", "Somebody had a cached result forgotten: the next call computes it anew.", **BEFORE),),
)
