"""What happens to work queues."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family(
    "work-queue",
    "orchestrator.work-queue.<id>",
    "Work queues. One that is named for the first time, by a deployment or an agent, is made.",
    kept("A work queue"),
)
