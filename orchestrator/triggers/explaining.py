"""Why an event counts for a trigger, or does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .conditions import Absence, Condition, Filter, Group, Happening, Metric, key_of
from .documents import TriggerSpec
from .matching import listed, matches, meets
from .seen import Seen


@dataclass(frozen=True)
class Verdict:
    """One thing that was looked at, and whether it is as the trigger wants it."""

    ok: bool
    what: str


def explain(spec: TriggerSpec, event: Seen) -> list[Verdict]:
    """Hold one event against each thing that a trigger asks of it."""
    found = [*_condition(spec.condition, event, "")]
    for path in spec.for_each:
        has = key_of((path,), event)
        found.append(
            Verdict(has is not None, f"for_each: {path} is {has[0]}" if has else f"for_each: it has no {path}")
        )
    return found


def _condition(condition: Condition, event: Seen, place: str) -> Iterator[Verdict]:
    if isinstance(condition, Group):
        for number, part in enumerate(condition.parts):
            yield from _condition(part, event, f"{place}part {number + 1}: ")
    elif isinstance(condition, (Happening, Absence)):
        yield from _leaf(condition, event, place)
    else:
        what = "a metric is measured" if isinstance(condition, Metric) else "a schedule goes by the clock"
        yield Verdict(False, f"{place}{what}, no single event matters")


def _leaf(condition: Happening | Absence, event: Seen, place: str) -> Iterator[Verdict]:
    if isinstance(condition, Absence) and condition.after:
        arms = meets(condition.after, event.name)
        comes = meets(condition.expect, event.name)
        words = {
            (True, True): "is one to wait after, and one to wait for",
            (True, False): "is one to wait after",
            (False, True): "is one to wait for",
            (False, False): f"is neither of after ({_list(condition.after)}) nor of expect ({_list(condition.expect)})",
        }
        yield Verdict(arms or comes, f"{place}name: {event.name} {words[arms, comes]}")
    elif condition.expect:
        yield _of_patterns(condition.expect, event.name, f"{place}name")
    else:
        yield Verdict(True, f"{place}name: any will do")
    yield from _filter(condition.filter, event, place)


def _filter(selection: Filter, event: Seen, place: str) -> Iterator[Verdict]:
    for label, patterns in selection.match.items():
        yield _of_patterns(patterns, event.resource.get(label), f"{place}match {label}")
    for selector in selection.match_related:
        wanted = ", ".join(f"{label} {_list(patterns)}" for label, patterns in selector.items())
        fits = next((labels for labels in event.related if matches(selector, labels)), None)
        if fits is not None:
            yield Verdict(True, f"{place}match_related ({wanted}): {fits.get('resource.id')}")
        else:
            yield Verdict(False, f"{place}match_related ({wanted}): none of {len(event.related)} related resources")


def _of_patterns(patterns: Sequence[str], value: str | None, place: str) -> Verdict:
    shown = "is missing" if value is None else f"is {value}"
    return Verdict(meets(patterns, value), f"{place}: {shown}; wanted: {_list(patterns)}")


def _list(patterns: str | Sequence[str]) -> str:
    return ", ".join(listed(patterns)) or "anything"
