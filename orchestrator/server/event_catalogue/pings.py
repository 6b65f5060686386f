"""What happens to pings, and what is heard by them."""

from __future__ import annotations

from .facts import AFTER, BEFORE, EventFacts, Family, action

_LABELS = {"resource.kind": "`ping`"}
_RELATED = {"ping": "the ping itself, `orchestrator.ping.<id>`"}
_START = {"ping": "its name", "method": "of the HTTP request", "run": "the job's run, where the call named one",
          "output": "the end of the call's body"}  # fmt: skip
_END = {
    **_START,
    "exit_code": "the job's, where the call told it",
    "duration_s": "since its start, where that was told",
}


def _heard(verb: str, says: str, payload: dict[str, str]) -> EventFacts:
    return EventFacts(verb, says, labels=_LABELS, related=_RELATED, payload=payload)


FAMILY = Family(
    "ping",
    "orchestrator.ping.<id>; what a job tells is about the resource that the ping names, `ping.<name>`",
    "Pings: addresses that jobs of other schedulers call.",
    (
        action("created", "A ping was made.", **AFTER),
        action("rotated", "It was given a new address."),
        action("deleted", "A ping was deleted.", **BEFORE),
        _heard("started", "A job told that it starts.", _START),
        _heard("succeeded", "A job told that it ended well.", _END),
        _heard("failed", "A job told that it failed.", _END),
    ),
)
