"""What happens to schedules."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family(
    "schedule",
    "orchestrator.schedule.<id>",
    "Schedules that are changed by themselves; those that come with a deployment are told of in its events.",
    kept("A schedule", {"deployment": "what it starts"}, changes="what changed, a line each"),
)
