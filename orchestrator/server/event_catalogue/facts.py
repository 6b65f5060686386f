"""What the catalogue tells of an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class EventFacts:
    """One event of the server's own."""

    #: After the family's name and a dot.
    verb: str
    #: What happened, in a sentence.
    says: str
    #: One of :data:`..db.models.event.KINDS`. An action carries who did it, as ``by`` in its payload.
    kind: str = "operation"
    #: Labels of the resource beside ``resource.id`` and ``resource.name``, with what they tell.
    labels: Mapping[str, str] = field(default_factory=dict)
    #: What else had a part in it, by role.
    related: Mapping[str, str] = field(default_factory=dict)
    #: Keys of the payload, with what they tell.
    payload: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Family:
    """Events about one kind of thing; their names begin with the family's."""

    name: str
    #: How the ids of what they are about look.
    resource: str
    #: What they are about.
    about: str
    events: tuple[EventFacts, ...]
    #: Labels that the resource has in all of them.
    labels: Mapping[str, str] = field(default_factory=dict)


BY: Mapping[str, str] = {"by": "who: `{type, id, name}`"}
BEFORE: Mapping[str, str] = {"before": "plain fields as they were, of those that changed; secrets never"}
AFTER: Mapping[str, str] = {"after": "plain fields as they are now, of those that changed; secrets never"}
CHANGED: Mapping[str, str] = {**BEFORE, **AFTER}


def action(verb: str, says: str, related: Mapping[str, str] | None = None, /, **payload: str) -> EventFacts:
    """Something that somebody did: its payload has ``by``."""
    return EventFacts(verb, says, "action", related=related or {}, payload={**BY, **payload})


def kept(noun: str, related: Mapping[str, str] | None = None, /, **payload: str) -> tuple[EventFacts, ...]:
    """The three events of what people make, change and delete; ``payload`` is added to that of a change."""
    return (
        action("created", f"{noun} was made.", related, **AFTER),
        action("updated", f"{noun} was changed.", related, **CHANGED, **payload),
        action("deleted", f"{noun} was deleted.", related, **BEFORE),
    )
