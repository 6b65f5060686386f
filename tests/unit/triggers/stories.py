"""Triggers told as stories: events and looks at the clock, in the order in which they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import triggers
from orchestrator.triggers import Firing, Seen, span

#: ``(name, seconds)`` is an event, a number is the clock.
Step = tuple[Any, ...] | float


def play(when: Mapping[str, Any], *steps: Step, since: float = 0, **more: Any) -> list[tuple[str, float]]:
    """What a condition gives: ``("fired" | "debounced" | "over", seconds)`` each, in order.

    An event is ``(name, seconds)``, with its labels as a third item.
    """
    spec = triggers.read({"name": "t", "when": when, **more})
    begun = span(since)
    states: dict[str, Any] = {} if spec.for_each else {triggers.machine.NO_KEY: triggers.begin(spec, begun).state}
    found: list[tuple[str, float]] = []
    for number, step in enumerate(steps):
        if isinstance(step, tuple):
            outcomes = [_event(spec, states, step, str(number), begun)]
        else:
            outcomes = [
                _remember(states, key, triggers.pass_time(spec, state, key, span(step)))
                for key, state in [*states.items()]
                if state is not None
            ]
        found += [_told(item) for outcome in outcomes for item in outcome]
    return found


def _event(
    spec: triggers.TriggerSpec, states: dict[str, Any], step: Sequence[Any], identifier: str, since: int
) -> list[Any]:
    name, seconds, *labels = step
    event = Seen(identifier, name, span(seconds), {"resource.id": "r", **(labels[0] if labels else {})})
    key = triggers.key_text(spec, event)
    if key is None or not triggers.is_concerned(spec, event):
        return []
    return _remember(states, key, triggers.advance(spec, states.get(key), event, key, since))


def _remember(states: dict[str, Any], key: str, outcome: triggers.Outcome) -> list[Any]:
    states[key] = outcome.state
    return outcome.happened


def _told(item: Any) -> tuple[str, float]:
    if isinstance(item, Firing):
        return ("debounced" if item.debounced else "fired", item.at / 1e6)
    return ("over", item.at / 1e6)
