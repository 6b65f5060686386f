"""Whether the events that the server wrote during a test are those that its catalogue tells of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from orchestrator.server.db import session as db
from orchestrator.server.event_catalogue import EVENTS, FAMILIES

_SEEN = text(
    """
SELECT DISTINCT event, kind, payload->'by'->>'type' AS by, ARRAY(SELECT jsonb_object_keys(resource)) AS labels,
    ARRAY(SELECT jsonb_object_keys(payload)) AS payload,
    ARRAY(SELECT r->>'resource.role' FROM jsonb_array_elements(related) r) AS roles
FROM event WHERE source = 'tower' OR event LIKE 'resource.%'"""
)
#: Who the changes of runs are actions of.
_PEOPLE = ("api-key", "user")


@dataclass(frozen=True)
class _Seen:
    """An event, as far as it is looked at."""

    event: str
    kind: str
    by: str | None
    labels: tuple[str, ...]
    payload: tuple[str, ...]
    roles: tuple[str, ...]


def surprises_among(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """What is wrong with events as the API gives them, a line each."""
    seen = {
        _Seen(
            item["event"], item["kind"], (item["payload"].get("by") or {}).get("type"), tuple(sorted(item["resource"])),
            tuple(sorted(item["payload"])), tuple(sorted({one.get("resource.role", "") for one in item["related"]})),
        )
        for item in events if item["source"] == "tower" or item["event"].startswith("resource.")
    }  # fmt: skip
    return sorted({line for one in seen for line in _surprises(one)})


def surprises() -> list[str]:
    """What is wrong with the events in the present database, a line each."""
    with db.reading() as session:
        return [line for row in session.execute(_SEEN) for line in _surprises(row)]


def _surprises(row: Any) -> list[str]:
    facts = EVENTS.get(row.event)
    if facts is None:
        return [f"{row.event} is not in the catalogue: add it to orchestrator/server/event_catalogue/"]
    found = []
    known = {
        "label": {"resource.id", "resource.name", *facts.labels, *FAMILIES[row.event.partition(".")[0]].labels},
        "role": {*facts.related},
        "key of the payload": {*facts.payload},
    }
    for what, names in (("label", row.labels), ("role", row.roles), ("key of the payload", row.payload)):
        unknown = sorted({*names} - known[what]) if "*" not in known[what] else []
        found += [
            f"{row.event} has the {what} {name}, which its entry in the catalogue does not tell" for name in unknown
        ]
    expected = "action" if row.event.startswith("flow-run.") and row.by in _PEOPLE else facts.kind
    if row.kind != expected:
        found.append(f"{row.event} is of kind {row.kind}; by the catalogue it is {expected}")
    if facts.kind == "action" and not row.by:
        found.append(f"{row.event} does not tell by whom")
    return found
