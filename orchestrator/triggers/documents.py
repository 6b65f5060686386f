"""Trigger documents: what YAML files, Python, REST and the dashboard have in common, read and checked.

A document says ``when`` (the condition), what to do ``then`` (and ``on_resolve``), and how it is to be treated. The
grammar is written down in the documentation's page on triggers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ScheduleError
from ..timing.schedules import FIELDS as SCHEDULE_FIELDS
from ..timing.schedules import parse as parse_schedule
from .conditions import Absence, Condition, Filter, Group, Happening, Metric, Schedule, leaves
from .matching import WILDCARD, listed, meets, positive
from .reading import LABELS_MAX, Reader, join

SEVERITIES = ("info", "warning", "critical")
KEYS = (
    "name", "description", "owner", "severity", "active", "debounce", "hourly_max", "when", "then", "on_resolve",
)  # fmt: skip
OPERATORS = ("<", "<=", ">", ">=")
RUN_METRICS = (
    "success_rate", "failure_count", "run_count", "duration_p50", "duration_p95", "duration_max", "lateness_p95",
)  # fmt: skip
EVENT_METRICS = ("event_count", "event_rate")
PAYLOAD_FIGURES = ("avg", "min", "max", "last")

NAME_MAX = 200
HOURLY_MAX = 1000
THRESHOLD_MAX = 1000
#: Groups within groups, conditions in all, parts of one group, values of one key, actions.
DEPTH_MAX, LEAVES_MAX, PARTS_MAX, KEYS_MAX, ACTIONS_MAX = 5, 50, 20, 5, 20

_MATCHING = ("match", "match_related", "expect", "for_each", "threshold", "within")
#: States that a run comes into when an action starts one: who acts upon them by starting one never ends.
_BEGINNINGS = ("flow-run.scheduled", "flow-run.pending", "flow-run.running")


@dataclass(frozen=True)
class TriggerSpec:
    """One trigger, read."""

    name: str
    condition: Condition
    #: What it is evaluated for each of: labels of the resource, or ``related.<role>.<label>``.
    for_each: tuple[str, ...]
    #: The part ``when`` as it was given.
    when: Mapping[str, Any]
    then: tuple[Mapping[str, Any], ...] = ()
    on_resolve: tuple[Mapping[str, Any], ...] = ()
    description: str = ""
    owner: str = ""
    severity: str = "warning"
    active: bool = True
    #: Seconds.
    debounce: float = 0.0
    hourly_max: int = HOURLY_MAX

    @property
    def can_resolve(self) -> bool:
        """Whether it can be over: an absence or a metric."""
        return isinstance(self.condition, (Absence, Metric))


def read(document: Mapping[str, Any]) -> TriggerSpec:
    """Read a trigger document.

    Raises:
        InvalidInput: Names the first problem; ``errors`` hold all of them by field. What actions need is only checked
            to be ``{do: KIND, ...}``.
    """
    reader = Reader()
    found = reader.mapping(document, "", KEYS)
    for key in ("name", "when"):
        if key not in found:
            reader.wrong(key, "Is missing.")
    when = found.get("when", {})
    condition, for_each = _root(reader, when) if "when" in found else (Schedule(_NEVER), ())
    spec = TriggerSpec(
        name=_name(reader, found.get("name", "-")),
        condition=condition,
        for_each=for_each,
        when=when,
        then=_actions(reader, found.get("then", ()), "then"),
        on_resolve=_actions(reader, found.get("on_resolve", ()), "on_resolve"),
        description=reader.text(found.get("description", ""), "description", 5000),
        owner=reader.text(found.get("owner", ""), "owner", NAME_MAX),
        severity=_one_of(reader, found.get("severity", "warning"), "severity", SEVERITIES),
        active=reader.flag(found.get("active", True), "active"),
        debounce=reader.seconds(found.get("debounce", 0), "debounce"),
        hourly_max=reader.whole(found.get("hourly_max", HOURLY_MAX), "hourly_max", 1, 100_000),
    )
    if not reader.errors:
        _check_together(reader, spec)
    reader.finish("trigger")
    return spec


def read_condition(when: Mapping[str, Any], debounce: float = 0.0) -> TriggerSpec:
    """Read the condition alone, as it is stored. Raises InvalidInput as :func:`read`."""
    reader = Reader()
    condition, for_each = _root(reader, when)
    reader.finish("when")
    return TriggerSpec("", condition, for_each, when, debounce=debounce)


_NEVER = parse_schedule({"interval": 86400})


def _root(reader: Reader, when: Any) -> tuple[Condition, tuple[str, ...]]:
    condition = _condition(reader, when, "when", 1)
    for_each: tuple[str, ...] = ()
    if isinstance(when, Mapping) and when.get("for_each") is not None:
        for_each = _for_each(reader, when["for_each"], "when.for_each")
        if isinstance(condition, (Metric, Schedule)):
            reader.wrong("when.for_each", "A metric or a schedule stands for itself: leave it out.")
    if not reader.errors and sum(1 for _ in leaves(condition)) > LEAVES_MAX:
        reader.wrong("when", f"Has more than {LEAVES_MAX} conditions in all.")
    return condition, for_each


def _condition(reader: Reader, value: Any, place: str, depth: int) -> Condition:
    if not isinstance(value, Mapping):
        reader.wrong(place, "Must be a mapping: see the kinds of condition in the documentation of triggers.")
        return Schedule(_NEVER)
    if depth > DEPTH_MAX:
        reader.wrong(place, f"Groups are nested deeper than {DEPTH_MAX}.")
        return Schedule(_NEVER)
    shapes = [name for name in _SHAPES if name in value]
    if len(shapes) > 1:
        reader.wrong(place, f"Has {' and '.join(shapes)}: a condition has one of them.")
        return Schedule(_NEVER)
    if depth > 1 and "for_each" in value:
        reader.wrong(join(place, "for_each"), "Stands only at the root of the condition, and holds for all its parts.")
    return _SHAPES[shapes[0]](reader, value, place, depth) if shapes else _happening(reader, value, place)


def _happening(reader: Reader, value: Mapping[str, Any], place: str) -> Condition:
    found = reader.mapping(value, place, _MATCHING)
    selection, expect = _matching(reader, found, place)
    threshold = reader.whole(found.get("threshold", 1), join(place, "threshold"), 1, THRESHOLD_MAX)
    within = reader.span(found["within"], join(place, "within")) if "within" in found else None
    return Happening(selection, expect, threshold, within)


def _absence(reader: Reader, value: Mapping[str, Any], place: str, _: int) -> Condition:
    found = reader.mapping(value, place, ("absent", *_MATCHING, "after"))
    if found.get("absent") is not True:
        reader.wrong(join(place, "absent"), "Must be true; leave it out to wait for events that come.")
    selection, expect = _matching(reader, found, place)
    after = reader.patterns(found["after"], join(place, "after")) if "after" in found else ()
    threshold = reader.whole(found.get("threshold", 1), join(place, "threshold"), 1, THRESHOLD_MAX)
    if "within" not in found:
        reader.wrong(join(place, "within"), "Say for how long nothing may come, such as 10m.")
    within = reader.span(found.get("within", 1), join(place, "within"), 1.0)
    return Absence(selection, expect, after, threshold, within)


def _matching(reader: Reader, found: Mapping[str, Any], place: str) -> tuple[Filter, tuple[str, ...]]:
    selection = _filter(reader, found, place)
    expect = reader.patterns(found["expect"], join(place, "expect")) if "expect" in found else ()
    if not _narrows(selection, expect):
        reader.wrong(place, "Matches every event: name labels in match or match_related, or events in expect.")
    return selection, expect


def _filter(reader: Reader, found: Mapping[str, Any], place: str) -> Filter:
    match = reader.selector(found["match"], join(place, "match")) if "match" in found else {}
    related = found.get("match_related", ())
    if isinstance(related, Mapping):
        related = [related]
    place = join(place, "match_related")
    specs = reader.several(related, place, reader.selector, 0, LABELS_MAX)
    return Filter(match, tuple(specs))


def _narrows(selection: Filter, expect: Sequence[str]) -> bool:
    """Whether not simply all events match."""
    wanted = positive(expect)
    if wanted and all(map(_says_something, wanted)):
        return True
    return any(
        label != "resource.id" or all(map(_says_something, listed(patterns)))
        for selector in (selection.match, *selection.match_related)
        for label, patterns in selector.items()
    )


def _says_something(pattern: str) -> bool:
    return pattern == "" or pattern.strip(WILDCARD) != ""


def _group(name: str) -> Callable[[Reader, Mapping[str, Any], str, int], Condition]:
    def shape(reader: Reader, value: Mapping[str, Any], place: str, depth: int) -> Condition:
        found = reader.mapping(value, place, (name, "within", "for_each"))
        parts = _parts(reader, found.get(name), join(place, name), depth)
        require = 1 if name == "any" else len(parts)
        return Group(parts, require, _within(reader, found, place), name == "sequence")

    return shape


def _at_least(reader: Reader, value: Mapping[str, Any], place: str, depth: int) -> Condition:
    found = reader.mapping(value, place, ("at_least", "of", "within", "for_each"))
    parts = _parts(reader, found.get("of"), join(place, "of"), depth)
    most = max(1, len(parts))
    require = reader.whole(found.get("at_least"), join(place, "at_least"), 1, most)
    return Group(parts, require, _within(reader, found, place))


def _within(reader: Reader, found: Mapping[str, Any], place: str) -> int | None:
    return reader.span(found["within"], join(place, "within")) if "within" in found else None


def _parts(reader: Reader, value: Any, place: str, depth: int) -> tuple[Condition, ...]:
    def part(item: Any, where: str) -> Condition:
        found = _condition(reader, item, where, depth + 1)
        if isinstance(found, Metric):
            reader.wrong(where, "A metric is a condition of its own, not part of another.")
        return found

    return tuple(reader.several(value, place, part, 1, PARTS_MAX))


def _metric(reader: Reader, value: Mapping[str, Any], place: str, _: int) -> Condition:
    keys = ("metric", "of", "match", "match_related", "expect", "operator", "value", "range", "firing_for", "for_each")
    found = reader.mapping(value, place, keys)
    name = reader.text(found.get("metric"), join(place, "metric"))
    for key in ("operator", "value", "range"):
        if key not in found:
            reader.wrong(join(place, key), "Is missing.")
    of: Mapping[str, Any] = {}
    selection = Filter({})
    expect: tuple[str, ...] = ()
    if name in RUN_METRICS:
        of = _of(reader, found.get("of", {}), join(place, "of"))
        for key in ("match", "match_related", "expect"):
            if key in found:
                reader.wrong(join(place, key), f"{name} is measured of runs: say which with `of`.")
    elif name in EVENT_METRICS or _is_payload_figure(name):
        selection, expect = _matching(reader, found, place)
        if "of" in found:
            reader.wrong(join(place, "of"), f"{name} is measured of events: say which with match and expect.")
    else:
        kinds = ", ".join((*RUN_METRICS, *EVENT_METRICS))
        figures = "|".join(PAYLOAD_FIGURES)
        reader.wrong(join(place, "metric"), f"Must be one of {kinds}, or payload.PATH.({figures}).")
    return Metric(
        name,
        of,
        selection,
        expect,
        _one_of(reader, found.get("operator", "<"), join(place, "operator"), OPERATORS),
        reader.number(found.get("value", 0), join(place, "value")),
        reader.span(found.get("range", 3600), join(place, "range"), 1.0),
        reader.span(found.get("firing_for", 0), join(place, "firing_for")),
    )


def _is_payload_figure(name: str) -> bool:
    parts = name.split(".")
    return len(parts) >= 3 and parts[0] == "payload" and parts[-1] in PAYLOAD_FIGURES and all(parts)


def _of(reader: Reader, value: Any, place: str) -> Mapping[str, Any]:
    found = dict(reader.mapping(value, place, ("deployment", "flow", "tags")))
    for key in ("deployment", "flow"):
        if key in found:
            found[key] = reader.text(found[key], join(place, key), shortest=1)
    if "tags" in found:
        found["tags"] = reader.several(found["tags"], join(place, "tags"), reader.text, 1, LABELS_MAX)
    return found


def _schedule(reader: Reader, value: Mapping[str, Any], place: str, _: int) -> Condition:
    found = reader.mapping(value, place, ("schedule", "for_each"))
    fields = reader.mapping(found.get("schedule"), join(place, "schedule"), SCHEDULE_FIELDS)
    try:
        return Schedule(parse_schedule(fields) if fields else _NEVER)
    except ScheduleError as error:
        for name, problems in (error.errors or {"": [str(error)]}).items():
            reader.wrong(join(join(place, "schedule"), name), problems[0])
        return Schedule(_NEVER)


def _for_each(reader: Reader, value: Any, place: str) -> tuple[str, ...]:
    def path(item: Any, where: str) -> str:
        text = reader.text(item, where, shortest=1)
        parts = text.split(".", 2)
        if parts[0] == "related" and (len(parts) < 3 or not all(parts)):
            reader.wrong(where, "Must be a label of the resource, or related.ROLE.LABEL.")
        return text

    if isinstance(value, str):
        return (path(value, place),)
    return tuple(reader.several(value, place, path, 1, KEYS_MAX))


def _actions(reader: Reader, value: Any, place: str) -> tuple[Mapping[str, Any], ...]:
    def action(item: Any, where: str) -> Mapping[str, Any]:
        if not isinstance(item, Mapping) or not isinstance(item.get("do"), str):
            reader.wrong(where, "Must say what to do: {do: run-deployment, ...}.")
            return {}
        return item

    return tuple(reader.several(value, place, action, 0, ACTIONS_MAX))


def _name(reader: Reader, value: Any) -> str:
    name = reader.text(value, "name", NAME_MAX, 1)
    if name != name.strip() or "\n" in name or "\t" in name:
        reader.wrong("name", "Must be one line, and not begin or end with a space.")
    return name


def _one_of(reader: Reader, value: Any, place: str, choices: Sequence[str]) -> str:
    if value not in choices:
        reader.wrong(place, f"Must be one of {', '.join(choices)}.")
        return choices[0]
    return str(value)


def _check_together(reader: Reader, spec: TriggerSpec) -> None:
    if spec.on_resolve and not spec.can_resolve:
        reader.wrong("on_resolve", "Only what an absence or a metric fires for can be over: leave it out.")
    for place, action in enumerate(spec.then):
        if action["do"] == "run-deployment" and action.get("inferred") is True and starts_itself(spec):
            reader.wrong(
                f"then.{place}",
                "Would start a run whenever one starts, for ever: wait for another state, such as flow-run.completed.",
            )


def starts_itself(spec: TriggerSpec) -> bool:
    """Whether it waits for what every run that an action starts goes through."""
    return any(
        isinstance(leaf, Happening) and any(meets(leaf.expect, name) for name in _BEGINNINGS)
        for leaf in leaves(spec.condition)
    )


_SHAPES: dict[str, Callable[[Reader, Mapping[str, Any], str, int], Condition]] = {
    "absent": _absence,
    "any": _group("any"),
    "all": _group("all"),
    "at_least": _at_least,
    "sequence": _group("sequence"),
    "metric": _metric,
    "schedule": _schedule,
}
