"""The events that the server itself writes: what each says, and of what. Their names are its own.

One module a family, each with its ``FAMILY``; a new one is known by lying here. ``docs/events.md`` is made from them.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import lru_cache

from .facts import EventFacts, Family

_MODULES = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name != "facts")

#: All families, by name.
FAMILIES: dict[str, Family] = {
    family.name: family for family in (importlib.import_module(f"{__name__}.{name}").FAMILY for name in _MODULES)
}
#: All events, by their whole names.
EVENTS: dict[str, EventFacts] = {
    f"{family.name}.{event.verb}": event for family in FAMILIES.values() for event in family.events
}
#: Kept free for what the server may once say.
_KEPT_FREE = frozenset(
    {
        "action",
        "artifact",
        "calendar",
        "expectation",
        "firing",
        "hold",
        "log",
        "ping",
        "tower",
        "trigger",
        "user",
        "webhook",
    }
)


@lru_cache(maxsize=10_000)
def is_reserved(name: str) -> bool:
    """Whether an event's name belongs to the server alone: nobody else may write into the audit trail, nor set off
    what waits for the server's own events.
    """
    family = name.partition(".")[0].strip().casefold()
    return family in FAMILIES or family in _KEPT_FREE


def kind_of(name: str) -> str:
    """The kind of one of the server's own events; what a person does, where the catalogue does not know it."""
    facts = EVENTS.get(name)
    return facts.kind if facts is not None else "action"
