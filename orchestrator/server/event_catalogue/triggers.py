"""What happens to triggers, and what they fire for."""

from __future__ import annotations

from .facts import CHANGED, EventFacts, Family, action, kept

_FIRING = {"firing": "the firing", "chain": "the chain of causes that it belongs to, with its `chain.depth`"}
_TOLD = {
    "key": "what it was for, of what the trigger is evaluated for each of",
    "occasion": "the event, the deadline or the slot",
    "reason": "why, in a line",
    "severity": "of the trigger",
    "event_id": "the event that it was for; null: the clock",
}
_HAND = {"firing": "the firing"}

FAMILY = Family(
    "trigger",
    "orchestrator.trigger.<id>",
    "Triggers and their firings.",
    (
        *kept("A trigger"),
        action("muted", "It does nothing until a time, or does things again.", **CHANGED),
        EventFacts("fired", "It fired, and its actions were asked for.", related=_FIRING, payload=_TOLD),
        EventFacts("resolved", "What it fired for is over.", related=_FIRING, payload=_TOLD),
        EventFacts(
            "stopped",
            "It fired, and nothing was done: too many firings followed from one another, or it had too many in an hour"
            " (told of the first only).",
            related=_FIRING,
            payload={**_TOLD, "why": "`depth` or `rate`"},
        ),
        action("acknowledged", "Somebody looks after a firing.", _HAND, key=_TOLD["key"], occasion=_TOLD["occasion"]),
        action("closed", "Somebody ended an open firing.", _HAND, key=_TOLD["key"], occasion=_TOLD["occasion"]),
    ),
)
