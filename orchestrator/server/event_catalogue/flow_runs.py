"""What happens to flow runs."""

from __future__ import annotations

from .facts import EventFacts, Family, action

_LABELS = {"state.type": "its state", "state.name": "the state's name, such as `Late` or `Lost`"}
_RELATED = {
    "flow": "its flow",
    "deployment": "its deployment, if it has one",
    "work-queue": "the queue that it waits or waited in",
    "chain": "of a step of a chain: the run of the chain, with its `chain.depth`",
    "chain-step": "the step that it is of a chain",
    "agent": "the agent that holds or held it",
    "tag": "each of its tags, as `orchestrator.tag.<tag>`",
}
_PAYLOAD = {
    "attempt": "number of the attempt; 0: none was begun",
    "message": "the state's message",
    "by": "who asked for it, where somebody did: the event is of kind `action` then, if that was a person",
}


#: What a run asks, in the payload of ``flow-run.paused``.
_QUESTION = (
    "where it asks something: `{id, key, description, schema, has_default, default, deadline, problems}`; `schema` is "
    "null where it asks for nothing but to go on"
)


def _state(verb: str, says: str) -> EventFacts:
    return EventFacts(verb, says, labels=_LABELS, related=_RELATED, payload=_PAYLOAD)


FAMILY = Family(
    "flow-run",
    "orchestrator.flow-run.<id>",
    "Flow runs: one event for every state that one takes, named by the state's type, whatever the state is called.",
    (
        _state("scheduled", "It waits to be started: it was made, is to be retried, was resumed, or is late."),
        _state("pending", "An agent took it, and prepares it."),
        _state("running", "Its code runs, or goes on after it was paused."),
        EventFacts(
            "paused",
            "It waits for somebody to resume it: `Paused`, its process waits; `Suspended`, nothing executes it.",
            labels=_LABELS,
            related=_RELATED,
            payload={**_PAYLOAD, "question": _QUESTION},
        ),
        _state("cancelling", "It was asked to stop, to be cancelled or, as `Suspending`, to be suspended."),
        _state("completed", "It ended well."),
        _state("failed", "Its code raised an error, or ran into its time-out; or nobody resumed it in time."),
        _state("crashed", "Its process or its agent was lost."),
        _state("cancelled", "It was stopped, or never started."),
        EventFacts(
            "answered",
            "What it asked was answered: by somebody, or by its default, when nobody did in time.",
            payload={
                "by": "who: `{type, id, name}`; the event is of kind `action` if that was a person",
                "after": "the question's `key` and `description`, and the `answer`",
                "default": "whether the default holds",
            },
        ),
        action(
            "message-sent", "Somebody sent it a message; what runs send is not told.", after="`key_prefix`, `value`"
        ),
        EventFacts(
            "report-refused",
            "A process reported that it ended, and was not believed: as a rule one that had been given up.",
            payload={
                "attempt": "the present attempt",
                "reported": "what was said: `{attempt, state}`",
                "code": "of the rule that refused it",
                "message": "why",
            },
        ),
        action("deleted", "It was deleted, with its tasks, history and artifacts.", before="its name, flow and state"),
    ),
)
