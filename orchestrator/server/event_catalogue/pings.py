"""What happens to pings, and what they hear."""

from __future__ import annotations

from .facts import EventFacts, Family, action

_NAMED = {"resource_id": "what its calls are events of"}
_LABELS = {"resource.kind": "`ping`"}
_RELATED = {"ping": "the ping"}
_PAYLOAD = {
    "ping": "its name",
    "method": "how it was called",
    "duration_s": "seconds since the start, where one was told",
    "exit_code": "the exit code, where one was told",
    "run": "which run, where that was told",
    "output": "what was sent along",
}


def _call(verb: str, says: str) -> EventFacts:
    return EventFacts(verb, says, labels=_LABELS, related=_RELATED, payload=_PAYLOAD)


FAMILY = Family(
    "ping",
    "orchestrator.ping.<id>; of calls the resource that the ping names",
    "Pings: addresses that jobs of others call. Calls have the source `webhook`.",
    (
        action("created", "A ping was made.", **_NAMED),
        action("rotated", "It was given a new address.", **_NAMED),
        action("deleted", "It was deleted.", **_NAMED),
        _call("started", "The job said that it begins."),
        _call("succeeded", "The job said that it ended well."),
        _call("failed", "The job said that it failed."),
    ),
)
