"""What happens to webhooks."""

from __future__ import annotations

from .facts import EventFacts, Family, action, kept

FAMILY = Family(
    "webhook",
    "orchestrator.webhook.<id>",
    "Webhooks. Neither addresses nor secrets are told.",
    (
        *kept("A webhook", rekeyed="whether it was given a new secret"),
        action("rotated", "It was given a new address; the old one leads nowhere."),
        EventFacts(
            "failed",
            "A delivery led to no events.",
            payload={
                "outcome": "`failed`: no events could be made of it; `refused`: it is signed wrongly, or too many came",
                "status": "HTTP status of the answer",
                "reason": "why",
                "delivery": "id of the delivery, where it is kept",
                "rendered": "the beginning of what the template wrote, where that is no event",
            },
        ),
    ),
)  # fmt: skip
