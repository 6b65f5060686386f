"""What happens to task runs."""

from __future__ import annotations

from .facts import EventFacts, Family

_LABELS = {"state.type": "its state", "state.name": "the state's name"}
_RELATED = {"flow-run": "the flow run that it belongs to", "tag": "each of its tags, as `orchestrator.tag.<tag>`"}
_PAYLOAD = {"attempt": "number of the attempt", "message": "the state's message"}


def _state(verb: str, says: str) -> EventFacts:
    return EventFacts(verb, says, labels=_LABELS, related=_RELATED, payload=_PAYLOAD)


FAMILY = Family(
    "task-run",
    "orchestrator.task-run.<id>",
    "Task runs: one event for every state that one takes, named by the state's type.",
    (
        _state("scheduled", "It waits to be tried again."),
        _state("pending", "It waits for what it needs."),
        _state("running", "Its code runs."),
        _state("paused", "It waits for somebody."),
        _state("cancelling", "It was asked to stop."),
        _state("completed", "It ended well, or its result was known already."),
        _state("failed", "Its code raised an error, or ran into its time-out."),
        _state("crashed", "Its process was lost."),
        _state("cancelled", "It was stopped, or never started."),
    ),
)
