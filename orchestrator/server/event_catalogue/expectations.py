"""What happens to expectations, and how they are met."""

from __future__ import annotations

from .facts import AFTER, BEFORE, CHANGED, EventFacts, Family, action

_OWNER = {"deployment": "the deployment that it is about, or that owns it"}
_RELATED = {**_OWNER, "flow-run": "the run that it is about", "subject": "the resource that it is about"}
_PAYLOAD = {"*": "the occurrence: its key, deadline, status, whether it was judged late, and the reason in a sentence"}
_HAND = {"firing": "the firing"}
_MISS = {"key": "what of the expectation was missed", "occasion": "its window"}


def _occurrence(verb: str, says: str) -> EventFacts:
    return EventFacts(verb, says, related=_RELATED, payload=_PAYLOAD)


FAMILY = Family(
    "expectation",
    "orchestrator.expectation.<id>",
    "Expectations.",
    labels={"expectation.severity": "how bad a miss is"},
    events=(
        action("created", "An expectation was made.", _OWNER, **AFTER, sentence="what is expected"),
        action("updated", "It was changed.", _OWNER, **CHANGED, sentence="what is expected"),
        action("enabled", "It is judged again.", _OWNER),
        action("disabled", "It is judged no more.", _OWNER),
        action("muted", "Its misses tell nobody until a time, or do again.", _OWNER, until="until when"),
        action("deleted", "It was deleted.", _OWNER, **BEFORE),
        action("acknowledged", "Somebody looks after a miss.", _HAND, **_MISS),
        action("closed", "Somebody ended the open firing of a miss.", _HAND, **_MISS),
        _occurrence("met", "What was expected came in time."),
        _occurrence("late", "What was expected came after its time."),
        _occurrence("missed", "What was expected did not come."),
        _occurrence("resolved", "What was missed came after all, or turned out to have come in time."),
    ),
)
