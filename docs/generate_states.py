"""Writes the page of transitions: the table of arrows and the rules, from the code; :mod:`generate` calls it."""

from __future__ import annotations

import inspect
import re

from orchestrator.server.rules.policy import FLOW_RUN
from orchestrator.states import ARROWS, StateType

_HEAD = """{made}

# Transitions

Which state of a flow run may follow which, and who decides it. [States](states.md) says what they mean.

## Arrows

From the type at the left to the one above. `●`: it may. A run that ended goes on only where a person asks for it (and a
lost one that comes back may tell its own end).

"""
_RULES = """
## Rules

Each change of a flow run's state, by whomever, is put before these rules, in this order; the first that has something
to say decides. A change that none is against is accepted.

- **accept**: the change is made, or it is made already.
- **reject**: another state is taken in its place.
- **wait**: not yet; whoever asks may ask again after the time that is told.
- **abort**: refused. REST answers 409 with the code, and a sentence that says why.

| | code | | says |
| --- | --- | --- | --- |
"""


def page(made: str) -> str:
    """The page; ``made`` is the mark of pages that are made."""
    return _HEAD.format(made=made) + _arrows() + _RULES + "".join(map(_rule, range(1, len(FLOW_RUN) + 1)))


def _arrows() -> str:
    types = list(StateType)
    lines = ["| | " + " | ".join(_label(kind) for kind in types) + " |", "| --- |" + " :-: |" * len(types)]
    for present, allowed in ARROWS.items():
        begins = "*a new run*" if present is None else f"**{_label(present)}**"
        lines.append(f"| {begins} | " + " | ".join("●" if kind in allowed else "" for kind in types) + " |")
    return "\n".join(lines) + "\n"


def _label(kind: StateType) -> str:
    return kind.value.capitalize()


def _rule(number: int) -> str:
    rule = type(FLOW_RUN[number - 1])
    effect = re.match("[A-Z][a-z]+", rule.__name__)
    assert effect is not None, f"{rule.__name__} does not begin with its effect"
    told = " ".join((inspect.getdoc(rule) or "").split()).replace("``", "`")
    told = re.sub(r":\w+:`~?[\w.]*?(\w+)`", r"`\1`", told)
    return f"| {number} | `{rule.code}` | {effect[0].lower()} | {told} |\n"
