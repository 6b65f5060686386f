"""What happens to agents."""

from __future__ import annotations

from .facts import EventFacts, Family

_LABELS = {"hostname": "where it runs", "version": "the version that is installed there"}
_RELATED = {"work-queue": "each queue that it serves"}
_PAYLOAD = {"slots": "how many runs it holds at a time"}

FAMILY = Family(
    "agent",
    "orchestrator.agent.<id>",
    "Agents.",
    (
        EventFacts("started", "An agent registered.", labels=_LABELS, related=_RELATED, payload=_PAYLOAD),
        EventFacts("stopped", "It said good-bye.", labels=_LABELS, related=_RELATED, payload=_PAYLOAD),
    ),
)
