"""The catalogue of events, as a part of ``docs/events.md``."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.server.event_catalogue import FAMILIES
from orchestrator.server.event_catalogue.facts import EventFacts, Family


def catalogue() -> str:
    """All families, by name."""
    return "\n".join(_family(family) for _, family in sorted(FAMILIES.items()))


def _family(family: Family) -> str:
    resource = f"`{family.resource}`" if family.resource.startswith("orchestrator.") else family.resource
    labels = f" All have the {_names('labels', family.labels)}." if family.labels else ""
    head = f"### {family.name}\n\n{family.about} Resource: {resource}.{labels}\n\n"
    table = "| event | kind | what happened | labels, related, payload |\n| --- | --- | --- | --- |\n"
    return head + table + "".join(_row(family, event) for event in family.events)


def _row(family: Family, event: EventFacts) -> str:
    facts = [_names("labels", event.labels), _names("related", event.related), _names("payload", event.payload)]
    told = "<br>".join(text for text in facts if text).replace("|", "\\|")
    return f"| `{family.name}.{event.verb}` | {event.kind} | {event.says} | {told} |\n"


def _names(what: str, facts: Mapping[str, str]) -> str:
    if not facts:
        return ""
    return f"**{what}**: " + "; ".join(f"`{name}` {says}" if name != "*" else says for name, says in facts.items())
