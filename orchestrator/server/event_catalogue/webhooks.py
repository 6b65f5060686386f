"""What happens to webhooks."""

from __future__ import annotations

from .facts import AFTER, BEFORE, CHANGED, EventFacts, Family, action

_SECRET = {"new_secret": "whether its secret changed as well"}

FAMILY = Family(
    "webhook",
    "orchestrator.webhook.<id>",
    "Webhooks. No event holds an address or a secret.",
    (
        action("created", "A webhook was made.", **AFTER),
        action("updated", "It was changed.", **CHANGED, **_SECRET),
        action("rotated", "It was given a new address."),
        action("deleted", "It was deleted.", **BEFORE),
        EventFacts("failed", "A delivery was not taken.",
                   payload={"outcome": "what became of it", "status": "what was answered", "reason": "why",
                            "rendered": "what the template made of it", "*": "more of the delivery"}),
    ),
)  # fmt: skip
