"""How each state of a run looks: one table for pages, charts and the timeline.

The class names the colours in ``orchestrator.css``; an icon and the state's name always stand beside a colour.
"""

from __future__ import annotations

from dataclasses import dataclass

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
