"""What happens to triggers, and what they do."""

from __future__ import annotations

from .facts import AFTER, BEFORE, CHANGED, EventFacts, Family, action

_RELATED = {
    "firing": "the firing, as `orchestrator.firing.<id>`",
    "chain": "what it follows from, with how far, as `chain.depth`",
}
_PAYLOAD = {
    "key": "for which values of `for_each`, as a JSON list",
    "occasion": "what makes the firing one of its kind: key and event, deadline or slot",
    "reason": "why, in a sentence",
    "severity": "the trigger's",
    "event_id": "the event that led to it, if one did",
}
_FIRING = {"firing": "the firing, as `orchestrator.firing.<id>`", "chain": _RELATED["chain"]}
_BY_HAND = {"occasion": _PAYLOAD["occasion"], "key": _PAYLOAD["key"]}

FAMILY = Family(
    "trigger",
    "orchestrator.trigger.<id>",
    "Triggers.",
    (
        action("created", "A trigger was made.", **AFTER),
        action("updated", "It was changed.", **CHANGED, changed="names of the parts that changed"),
        action("muted", "Its firings do nothing until a time, or do again.", until="until when; null: they do again"),
        action("deleted", "It was deleted.", **BEFORE),
        EventFacts("fired", "Its condition was met: its actions are done.", related=_RELATED, payload=_PAYLOAD),
        EventFacts("resolved", "Its condition is met no more, or somebody said so.", related=_RELATED,
                   payload={**_PAYLOAD, "by": "who said so, where somebody did"}),
        EventFacts("stopped", "It fired too often, or in a circle: its actions are not done.", related=_RELATED,
                   payload={**_PAYLOAD, "by": "`rate` or `depth`"}),
        action("acknowledged", "Somebody knows of a firing.", _FIRING, **_BY_HAND),
    ),
)  # fmt: skip
