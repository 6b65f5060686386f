"""How each state of a run looks, and each interface of a block: tables for pages, charts and the timeline.

The class names the colours in ``orchestrator.css``; an icon and the state's name always stand beside a colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from orchestrator.server.db.models import Firing
from orchestrator.states import DISPLAY_NAMES, StateType


@dataclass(frozen=True)
class Look:
    """Class, icon and name of a kind of state."""

    css: str
    icon: str
    name: str


_ICONS = {
    StateType.SCHEDULED: "clock",
    StateType.PENDING: "hourglass",
    StateType.RUNNING: "player-play",
    StateType.PAUSED: "player-pause",
    StateType.CANCELLING: "player-stop",
    StateType.COMPLETED: "circle-check",
    StateType.FAILED: "circle-x",
    StateType.CRASHED: "bolt",
    StateType.CANCELLED: "circle-minus",
}

LOOKS: dict[str, Look] = {
    kind.value: Look(kind.value.lower(), icon, DISPLAY_NAMES[kind]) for kind, icon in _ICONS.items()
}
#: A scheduled run whose time has passed, shown apart because somebody should look at it.
LATE = Look("late", "alert-triangle", "Late")

#: Order in which charts stack states: what needs no look first, what does on top.
ORDER = ("COMPLETED", "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "CANCELLED", "CRASHED", "FAILED")


def look(state_type: str, state_name: str = "") -> Look:
    """The look of one run's state."""
    if state_name == LATE.name and state_type == StateType.SCHEDULED:
        return LATE
    known = LOOKS[state_type]
    return Look(known.css, known.icon, state_name or known.name)


@dataclass(frozen=True)
class Kind:
    """What people call the block types of one interface."""

    name: str
    icon: str
    text: str = ""
    #: Of one type, beside its name.
    tag: str = ""


#: Interfaces in the order in which the catalogue shows them; a type stands under the first of these that it has.
INTERFACES: dict[str, Kind] = {
    "file-system": Kind("Storage", "folder", "Files: the code of deployments, results, data.", "Storage"),
    "database": Kind("Databases", "database", "Queries and statements, streamed.", "Database"),
    "credentials": Kind(
        "Credentials",
        "key",
        "Who we are elsewhere. Other blocks hold them: rotate once, used everywhere.",
        "Credentials",
    ),
    "notifier": Kind("Notifiers", "bell", "Messages to people.", "Notifier"),
    "infrastructure": Kind("Infrastructure", "server-2", "What runs are executed in.", "Infrastructure"),
    "job": Kind("Jobs", "player-play", "Work that is started elsewhere and waited for.", "Job"),
    "ticket": Kind("Tickets", "ticket", "Work for people.", "Ticket"),
    "secret": Kind("Secrets", "lock", "One value, encrypted.", "Secret"),
    "discoverable": Kind(
        "Watched systems", "radar", "What is there is looked up, without orchestrating it.", "Can be watched"
    ),
}
#: Of types that implement no interface.
VALUES = Kind("Values and more", "braces", "Settings that several flows share.")


def interface(slug: str) -> Kind:
    """The look of an interface; one that we do not know has its own name."""
    name = slug.replace("-", " ").capitalize()
    return INTERFACES.get(slug) or Kind(name, "plug-connected", tag=name)


def in_order(slugs: Iterable[str]) -> list[str]:
    """Interfaces in the catalogue's order, unknown ones last."""
    found = set(slugs)
    return [slug for slug in INTERFACES if slug in found] + sorted(found - set(INTERFACES))


def home_of(interfaces: list[str]) -> str:
    """The interface under which the catalogue shows a type; empty for none."""
    return next((slug for slug in [*INTERFACES, *interfaces] if slug in interfaces), "")


@dataclass(frozen=True)
class Health:
    """How one sort of state of a resource looks."""

    key: str
    css: str
    icon: str
    name: str
    #: The colour's name in the stylesheet.
    colour: str


#: States of resources, best known first.
HEALTH: dict[str, Health] = {
    "healthy": Health("healthy", "good", "circle-check", "Healthy", "completed"),
    "failing": Health("failing", "bad", "circle-x", "Failing", "failed"),
    "warning": Health("warning", "late", "alert-triangle", "Warning", "late"),
    "vanished": Health("vanished", "off", "eye-off", "Vanished", "cancelled"),
    "unknown": Health("unknown", "off", "circle-dashed", "Not known", "pending"),
}


def health(state: str | None) -> Health:
    """The look of a resource's state; one that others made up looks as an unknown one, by its own name."""
    if state is None or state in HEALTH:
        return HEALTH[state or "unknown"]
    return replace(HEALTH["unknown"], icon="circle-dashed", name=state[:1].upper() + state[1:])


#: How triggers stand.
TRIGGERS: dict[str, Look] = {
    "armed": Look("good", "radar", "Armed"),
    "firing": Look("crashed", "bell-ringing", "Firing"),
    "muted": Look("paused", "bell", "Muted"),
    "off": Look("off", "player-pause", "Off"),
}
#: States of firings.
FIRINGS: dict[str, Look] = {
    "open": Look("crashed", "bell-ringing", "Open"),
    "resolved": Look("good", "circle-check", "Over"),
    "suppressed": Look("off", "ban", "Suppressed"),
}
#: A firing for something that is over as it happens.
FIRED = Look("running", "bolt", "Fired")
#: Why nothing is done for a firing, in words.
SUPPRESSED = {
    "muted": "It was muted, so nothing was done.",
    "debounced": "The same had fired just before (debounce), so nothing was done.",
    "rate": "It had fired as often as it may within an hour, so nothing was done.",
    "depth": "Too many firings followed from one another: nothing was done, so that it does not go on for ever.",
}
#: States of actions.
ACTIONS: dict[str, Look] = {
    "waiting": Look("late", "hourglass", "Waiting"),
    "running": Look("running", "loader", "Running"),
    "done": Look("completed", "circle-check", "Done"),
    "given-up": Look("failed", "circle-x", "Given up"),
    "skipped": Look("cancelled", "circle-minus", "Skipped"),
}
#: How grave triggers and expectations are.
SEVERITIES: dict[str, Look] = {
    "info": Look("off", "info-circle", "Info"),
    "warning": Look("late", "alert-triangle", "Warning"),
    "critical": Look("failed", "urgent", "Critical"),
}


def firing(row: Firing) -> Look:
    """The look of a firing's state."""
    momentary = row.state == "resolved" and row.resolved == row.fired
    return FIRED if momentary else FIRINGS[row.state]
