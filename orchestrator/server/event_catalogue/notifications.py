"""What becomes of telling people."""

from __future__ import annotations

from .facts import EventFacts, Family

FAMILY = Family(
    "notification",
    "orchestrator.flow-run.<id>",
    "Telling people how runs ended. The resource is the run.",
    (
        EventFacts(
            "failed",
            "Nobody could be told, however often it was tried.",
            related={"notifier": "the block that was to tell them", "deployment": "the run's deployment"},
            payload={
                "by": "the server", "notification": "its id", "subject": "what was to be said",
                "attempts": "how often it was tried", "error": "why the last try failed",
            },
        ),
    ),
)  # fmt: skip
