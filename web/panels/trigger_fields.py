"""The form of a trigger: the fields of a document, and a document with fields laid over it. Pure.

Fields are texts by name: ``when.within``, ``when.expect.0``, ``then.1.block``. A list that stands in the form has a
field of its own name, so that one whose rows are all gone differs from one that is not shown. What has no field, and
what was not touched, stays in the document as it is.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.triggers.documents import EVENT_METRICS, RUN_METRICS

from . import trigger_actions, trigger_texts
from .trigger_rows import LIST, drop, indexes, insert, part, without

Fields = dict[str, str]

#: Facts about a trigger with one value each, and the kind of their field.
FACTS = {
    "name": "text", "description": "prose", "owner": "text", "severity": "choice", "active": "flag",
    "debounce": "duration", "hourly_max": "number",
}  # fmt: skip
#: What the form can wait for, in words; ``other`` is edited as YAML.
KINDS = {
    "event": "something happens",
    "absent": "something does not happen",
    "metric": "a number is too high or too low",
    "schedule": "it is time",
}
_VALUES: dict[str, dict[str, str]] = {
    "event": {"threshold": "number", "within": "duration"},
    "absent": {"threshold": "number", "within": "duration"},
    "metric": {
        "metric": "text",
        "operator": "choice",
        "value": "number",
        "range": "duration",
        "firing_for": "duration",
    },
    "schedule": {},
    "other": {},
}  # fmt: skip
_OF = {"deployment": "text", "flow": "text", "tags": "texts"}
TIMES = ("cron", "interval", "rrule")
_SCHEDULE = {"cron": "text", "interval": "duration", "rrule": "text", "timezone": "text", "anchor": "text",
             "day_or": "flag"}  # fmt: skip
#: Lists of patterns or labels in a condition.
_LISTS = {"event": ("expect", "for_each"), "absent": ("expect", "after", "for_each"), "metric": ("expect",)}
_GROUPS = ("any", "all", "at_least", "sequence")
_SELECTING = ("expect", "match", "match_related")
_DEPLOYMENT = re.compile(r"orchestrator\.deployment\.[0-9a-f-]{36}")
_HALF = {"label": "Name the label.", "is": "Say what it is: a value, or a pattern with *."}


@dataclass
class Laid:
    """A document with the form's fields laid over it."""

    document: dict[str, Any]
    #: As the form goes on with them: what was typed, and the rows that are still empty.
    fields: Fields
    #: What could not be put into the document, by field.
    problems: dict[str, list[str]] = field(default_factory=dict)


def kind_of(when: Any) -> str:
    """Which of :data:`KINDS` a condition is; ``other`` for what this form does not show."""
    if not isinstance(when, Mapping) or any(name in when for name in _GROUPS):
        return "other"
    shapes = [name for name in ("absent", "metric", "schedule") if name in when]
    return "other" if len(shapes) > 1 else shapes[0] if shapes else "event"


def shown(document: Mapping[str, Any]) -> Fields:
    """The fields of a document."""
    found = _values(document, "", FACTS)
    found.update(_condition(document.get("when")))
    for place in ("then", "on_resolve"):
        found.update(trigger_actions.shown(document.get(place), place))
    return found


def lay(base: Mapping[str, Any], sent: Mapping[str, str], act: str = "") -> Laid:
    """Lay a form over the document that it was made of.

    Args:
        act: What a button does first: ``add:LIST``, ``add:LIST=WHAT``, ``drop:ROW``.
    """
    laid = Laid(copy.deepcopy(dict(base)), dict(sent))
    _act(laid, act)
    _set_values(laid, laid.document, "", FACTS)
    _set_condition(laid)
    for place in ("then", "on_resolve"):
        trigger_actions.lay(laid.document, place, laid.fields, laid.problems)
    return laid


def of_metric(when: Any) -> bool:
    """Whether a metric is measured of runs, else of events."""
    return isinstance(when, Mapping) and when.get("metric") in RUN_METRICS


def _of_events(name: Any) -> bool:
    return name in EVENT_METRICS or str(name).startswith("payload.")


def _condition(when: Any) -> Fields:
    kind = kind_of(when)
    found: Fields = {"when.kind": kind}
    if kind == "other":
        return found
    found.update(_values(when, "when.", _VALUES[kind]))
    if kind == "schedule":
        times = when["schedule"] if isinstance(when["schedule"], Mapping) else {}
        found["when.schedule.kind"] = next((name for name in TIMES if name in times), TIMES[0])
        found.update(_values(times, "when.schedule.", _SCHEDULE))
    elif of_metric(when):
        found.update(_values(when.get("of") if isinstance(when.get("of"), Mapping) else {}, "when.of.", _OF))
    else:
        for name in _LISTS[kind]:
            rows = _texts(when.get(name))
            found[f"when.{name}"] = LIST
            found.update({f"when.{name}.{index}": text for index, text in enumerate(rows)})
        found.update(_labels(when.get("match"), "when.match"))
        found.update(_related(when.get("match_related")))
    return found


def _values(source: Any, prefix: str, kinds: Mapping[str, str]) -> Fields:
    return {f"{prefix}{name}": trigger_texts.shown(source.get(name), kind) for name, kind in kinds.items()}


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    items = value if isinstance(value, list) else [value]
    return [trigger_texts.shown(item, "text") for item in items]


def _labels(selector: Any, prefix: str) -> Fields:
    found: Fields = {prefix: LIST}
    for index, (label, patterns) in enumerate(selector.items() if isinstance(selector, Mapping) else ()):
        found[f"{prefix}.{index}.label"] = str(label)
        found[f"{prefix}.{index}.is"] = trigger_texts.shown(patterns, "patterns")
    return found


def _related(value: Any) -> Fields:
    found: Fields = {"when.related": LIST}
    for index, selector in enumerate(_selectors(value)):
        found.update(_one_related(selector, f"when.related.{index}"))
    return found


def _selectors(value: Any) -> list[Any]:
    return [value] if isinstance(value, Mapping) else value if isinstance(value, list) else []


def _one_related(selector: Any, place: str) -> Fields:
    if _is_deployment(selector):
        return {f"{place}.deployment": selector["resource.id"]}
    return _labels(selector, f"{place}.labels")


def _is_deployment(selector: Any) -> bool:
    """Whether it says no more than: related to this deployment."""
    if not isinstance(selector, Mapping) or set(selector) != {"resource.role", "resource.id"}:
        return False
    role, identifier = selector["resource.role"], selector["resource.id"]
    return role == "deployment" and isinstance(identifier, str) and bool(_DEPLOYMENT.fullmatch(identifier))


def _act(laid: Laid, act: str) -> None:
    verb, _, rest = act.partition(":")
    place, _, what = rest.partition("=")
    if verb == "drop":
        drop(laid.fields, place)
        trigger_actions.dropped(laid.document, place)
    elif verb == "add" and place in ("then", "on_resolve"):
        trigger_actions.add(laid.document, place, what, laid.fields)
    elif verb == "add" and laid.fields.get(place) == LIST:
        if place == "when.related":
            rows = {"deployment": ""} if what == "deployment" else {
                "labels": LIST, "labels.0.label": "resource.role", "labels.0.is": "",
                "labels.1.label": "resource.id", "labels.1.is": "",
            }  # fmt: skip
        else:
            rows = {"label": what, "is": ""} if place.endswith(("match", "labels")) else {"": ""}
        insert(laid.fields, place, rows)


def _set_values(laid: Laid, target: dict[str, Any], prefix: str, kinds: Mapping[str, str]) -> None:
    for name, kind in kinds.items():
        place = f"{prefix}{name}"
        trigger_texts.put(target, name, kind, laid.fields.get(place), laid.problems, place)


def _set_condition(laid: Laid) -> None:
    when, kind = laid.document.get("when"), laid.fields.get("when.kind")
    if kind in KINDS and kind != kind_of(when):
        laid.document["when"] = _become(when if isinstance(when, Mapping) else {}, kind)
        _show_anew(laid)
        return
    if kind is None or not isinstance(when, dict) or kind == "other":
        return
    was_of_runs = of_metric(when)
    _set_values(laid, when, "when.", _VALUES[kind])
    if kind == "metric":
        when.setdefault("metric", "")
    if of_metric(when) != was_of_runs:
        for name in _SELECTING if of_metric(when) else ("of",) if _of_events(when["metric"]) else ():
            when.pop(name, None)
        _show_anew(laid)
    elif kind == "schedule":
        _set_schedule(laid, when)
    else:
        if was_of_runs:
            _set_inner(laid, when, "of", _OF)
        _set_selection(laid, when, kind)


def _show_anew(laid: Laid) -> None:
    """The fields of the condition are other ones now."""
    laid.fields = without(laid.fields, "when")
    laid.fields.update(_condition(laid.document["when"]))
    laid.problems = {name: texts for name, texts in laid.problems.items() if not name.startswith("when.")}


def _become(when: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A condition of another kind, with what both have."""
    kept = {name: when[name] for name in (*_SELECTING, "for_each", "threshold", "within") if name in when}
    if kind == "schedule":
        return {"schedule": {"cron": "0 9 * * *", "timezone": "UTC"}}
    if kind == "metric":
        selection = {name: kept[name] for name in _SELECTING if name in kept}
        if selection:
            return {"metric": "event_count", **selection, "operator": ">", "value": 100, "range": "1h"}
        return {"metric": "success_rate", "operator": "<", "value": 0.9, "range": "1d"}
    return {"absent": True, "within": "1h", **kept} if kind == "absent" else kept


def _set_schedule(laid: Laid, when: dict[str, Any]) -> None:
    times = when["schedule"]
    before = _condition(when)["when.schedule.kind"]
    chosen = laid.fields.get("when.schedule.kind", before)
    if chosen in TIMES and chosen != before and isinstance(times, dict):
        for name in TIMES:
            times.pop(name, None)
            if name != chosen:
                laid.fields[f"when.schedule.{name}"] = ""
    _set_inner(laid, when, "schedule", _SCHEDULE)


def _set_inner(laid: Laid, when: dict[str, Any], name: str, kinds: Mapping[str, str]) -> None:
    """Set values of a mapping within the condition; one that is empty and was not there is left out."""
    present = when.get(name)
    inner = dict(present) if isinstance(present, Mapping) else {}
    _set_values(laid, inner, f"when.{name}.", kinds)
    if inner != (present if isinstance(present, Mapping) else {}):
        when[name] = inner
        if not inner and name == "of":
            del when[name]


def _set_selection(laid: Laid, when: dict[str, Any], kind: str) -> None:
    for name in _LISTS[kind]:
        if laid.fields.get(f"when.{name}") == LIST:
            place = f"when.{name}"
            rows = _filled([laid.fields.get(f"{place}.{index}", "") for index in indexes(laid.fields, place)])
            if rows != _filled(_texts(when.get(name))):
                _put(when, name, _patterns(rows))
    if laid.fields.get("when.match") == LIST:
        before = when.get("match")
        selector = _selector(laid, "when.match", before)
        if selector != (before if isinstance(before, Mapping) else {}) or _order(selector) != _order(before):
            _put(when, "match", selector)
    if laid.fields.get("when.related") == LIST:
        _set_related(laid, when)


def _set_related(laid: Laid, when: dict[str, Any]) -> None:
    before = _selectors(when.get("match_related"))
    known = {number: _one_related(item, "") for number, item in enumerate(before)}
    found: list[Any] = []
    for index in indexes(laid.fields, "when.related"):
        place = f"when.related.{index}"
        mine = part(laid.fields, place)
        alike = [number for number, texts in known.items() if _alike(texts, mine)]
        if alike:
            number = index if index in alike else alike[0]
            del known[number]
            found.append(before[number])
        elif f"{place}.deployment" in laid.fields:
            identifier = laid.fields[f"{place}.deployment"].strip()
            if identifier:
                found.append({"resource.role": "deployment", "resource.id": identifier})
            else:
                laid.problems[f"{place}.deployment"] = ["Choose a deployment."]
        else:
            old = before[index] if index < len(before) else {}
            if selector := _selector(laid, f"{place}.labels", old):
                found.append(selector)
    if found != before:
        _put(when, "match_related", found[0] if len(found) == 1 else found)


def _selector(laid: Laid, prefix: str, before: Any) -> dict[str, Any]:
    """The labels of some rows; rows that are as they were keep their values."""
    old = before if isinstance(before, Mapping) else {}
    found: dict[str, Any] = {}
    for index in indexes(laid.fields, prefix):
        label, text = (laid.fields.get(f"{prefix}.{index}.{name}", "") for name in ("label", "is"))
        kept = next((key for key in old if str(key) == label), None)
        if kept is not None and trigger_texts.same(text, trigger_texts.shown(old[kept], "patterns"), "patterns"):
            found[kept] = old[kept]
            continue
        label = label.strip()
        missing = [name for name, given in (("label", label), ("is", text.strip())) if not given]
        if len(missing) == 1:
            laid.problems[f"{prefix}.{index}.{missing[0]}"] = [_HALF[missing[0]]]
        elif label in found:
            laid.problems[f"{prefix}.{index}.label"] = ["Stands there twice: put both values into one row."]
        elif not missing:
            found[label] = trigger_texts.read(text, "patterns")
    return found


def _alike(texts: Mapping[str, str], others: Mapping[str, str]) -> bool:
    return texts.keys() == others.keys() and all(
        trigger_texts.same(texts[name], others[name], "text") for name in texts
    )


def _filled(rows: Sequence[str]) -> list[str]:
    return [text.replace("\n", "").replace("\r", "") for text in rows if text.strip()]


def _patterns(rows: list[str]) -> Any:
    stripped = [text.strip() for text in rows]
    return stripped[0] if len(stripped) == 1 else stripped


def _put(target: dict[str, Any], name: str, value: Any) -> None:
    if value in ({}, []):
        target.pop(name, None)
    else:
        target[name] = value


def _order(value: Any) -> list[str]:
    return [str(key) for key in value] if isinstance(value, Mapping) else []
