"""How the actions of firings go."""

from __future__ import annotations

from .facts import EventFacts, Family, action

_RELATED = {
    "trigger": "the trigger that fired",
    "deployment": "the deployment that owns the trigger",
    "started": "the flow run that it started",
    "target": "the block that it acted by",
    "cause": "the resource of the event that led to it",
    "chain": "what it follows from, with how far, as `chain.depth`",
    "*": "what it acted upon, by its part",
}
_PAYLOAD = {
    "by": "the trigger, or who asked for it",
    "kind": "what kind of action",
    "moment": "`fire`, `resolve`, or `test`: somebody sent a message to see whether it arrives",
    "attempts": "how often it was tried",
    "firing": "id of the firing",
}

FAMILY = Family(
    "action",
    "orchestrator.action.<id>",
    "Actions of firings.",
    (
        EventFacts("done", "It was done.", related=_RELATED, payload={**_PAYLOAD, "result": "what came of it"}),
        EventFacts("failed", "A try failed; it is tried again.", related=_RELATED,
                   payload={**_PAYLOAD, "error": "why"}),
        EventFacts("given-up", "It failed too often, or cannot be done.", related=_RELATED,
                   payload={**_PAYLOAD, "error": "why"}),
        action("redone", "Somebody had it tried once more."),
    ),
)  # fmt: skip
