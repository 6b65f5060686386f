"""The fields of the form of an expectation: from a document to them, and from them to a document. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from werkzeug.datastructures import MultiDict

from orchestrator import serializers
from orchestrator.expectations.documents import RESOURCE_ID

#: Moments at which something is done: the field of the document, and how the page says it.
MOMENTS = {"then": "When it is missed", "on_resolve": "When it came after all"}
#: Kinds of action with fields of their own here, with these fields; the others are written as YAML.
ROWS = {"notify": ("block", "subject", "body"), "run-deployment": ("deployment",)}
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STATES = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
#: Most actions of a moment.
ACTIONS_MAX = 20
#: Fields of a document that are a text here, of the same name.
OWN = frozenset(
    ("name", "description", "owner", "severity", "by", "early", "grace", "count", "for_each", "each_of", "timezone",
     "calendar")
)  # fmt: skip

_DAILY = re.compile(r"(\d{1,2}) (\d{1,2}) \* \* ([\d,*a-zA-Z-]+)")
_NUMBER = re.compile(r"\d+(\.\d+)?")


def values(document: Mapping[str, Any]) -> dict[str, Any]:
    """The texts of the fields."""
    run, on, every = (_mapping(document.get(name)) for name in ("run", "on", "every"))
    match = _mapping(on.get("match"))
    is_run = "on" not in document
    when = "schedule" if "every" in document else "heartbeat" if "heartbeat" in document else "within"
    when = "run" if is_run and run.get("finishes_within") is not None else when
    zone = every.get("timezone") if when == "schedule" else document.get("timezone")
    return {
        **{name: plain(document.get(name)) for name in OWN},
        "severity": document.get("severity") or "warning",
        "what": "runs" if is_run else "events",
        "expect": ", ".join(_texts(on.get("expect"))),
        "resource": "\n".join(_texts(match.get(RESOURCE_ID))),
        "labels": "\n".join(f"{name}={text}" for name in match if name != RESOURCE_ID for text in _texts(match[name])),
        **{name: plain(run.get(name)) for name in ("deployment", "flow", "finishes_within")},
        "of": run.get("of") or "start",
        "tags": ", ".join(_texts(run.get("tags"))),
        "state": [text.upper() for text in _texts(run.get("state"))] or ([] if when == "run" else ["COMPLETED"]),
        "when": when,
        **_repeated(every),
        "span": plain(document.get("heartbeat" if when == "heartbeat" else "within")),
        "timezone": plain(zone),
        "calendar": plain(every.get("calendar") if when == "schedule" else document.get("calendar")),
        "for_each": ", ".join(_texts(document.get("for_each"))),
        "each_of": "\n".join(_texts(document.get("each_of"))),
    }


def _repeated(every: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a schedule; a cron line that names a time and weekdays is shown as these."""
    found = {name: plain(every.get(name)) for name in ("cron", "interval", "rrule")}
    daily = _DAILY.fullmatch(found["cron"])
    days = _weekdays(daily[3]) if daily else None
    if daily and days is not None and int(daily[1]) < 60 and int(daily[2]) < 24:
        return {**found, "repeat": "days", "at": f"{int(daily[2]):02}:{int(daily[1]):02}", "day": days}
    repeat = next((name for name in ("interval", "rrule", "cron") if found[name]), "days")
    return {**found, "repeat": repeat, "at": "", "day": list(WEEKDAYS)}


def _weekdays(text: str) -> list[str] | None:
    """The weekdays of the last field of a cron line; None where it says them in another way."""
    if text == "*":
        return list(WEEKDAYS)
    found: set[int] = set()
    for part in text.lower().split(","):
        first, _, last = part.partition("-")
        ends = [_weekday(first), _weekday(last or first)]
        if ends[0] is None or ends[1] is None or ends[0] > ends[1]:
            return None
        found |= {*range(ends[0], ends[1] + 1)}
    return [WEEKDAYS[day] for day in sorted({(day - 1) % 7 for day in found})]


def _weekday(text: str) -> int | None:
    """Cron's number of a weekday; Sunday is 0 or 7."""
    if text in WEEKDAYS:
        return (WEEKDAYS.index(text) + 1) % 7
    return int(text) if text.isdecimal() and int(text) < 8 else None


def kept(document: Mapping[str, Any]) -> Iterator[str]:
    """The parts of a document that have no field."""
    on, every = _mapping(document.get("on")), _mapping(document.get("every"))
    if on.get("match_related"):
        yield "on.match_related"
    yield from (f"every.{name}" for name in ("day_or", "anchor") if name in every)
    if "active" in document:
        yield "active"


def document(form: MultiDict[str, str], base: Mapping[str, Any]) -> dict[str, Any]:
    """The document that the fields make, which may be unfinished or wrong; what they do not say is as in ``base``."""
    found = {name: value for name, value in base.items() if name not in OWN}
    found |= {name: text for name in ("name", "description", "owner") if (text := form.get(name, "").strip())}
    if (severity := form.get("severity", "")) not in ("", "warning"):
        found["severity"] = severity
    _write_what(found, form)
    _write_when(found, form)
    for name in MOMENTS:
        found.pop(name, None)
        if rows := _actions(form, name):
            found[name] = rows
    return found


def _write_what(document: dict[str, Any], form: MultiDict[str, str]) -> None:
    before = {name: _mapping(document.pop(name, None)) for name in ("on", "run")}
    if form.get("what") == "events":
        match: dict[str, Any] = {}
        if ids := _lines(form.get("resource", "")):
            match[RESOURCE_ID] = _one(ids)
        for line in _lines(form.get("labels", "")):
            name, _, value = line.partition("=")
            match[name.strip()] = _one([*_texts(match.get(name.strip())), value.strip()])
        found = {"match": match, "match_related": before["on"].get("match_related")}
        document["on"] = _given({**found, "expect": _one(_split(form.get("expect", "")))})
        keys = {"for_each": _one(_split(form.get("for_each", ""))), "each_of": _lines(form.get("each_of", ""))}
        document |= _given(keys)
        return
    states = form.getlist("state")
    others = [text for text in _texts(before["run"].get("state")) if text.upper() not in STATES]
    is_default = states == ["COMPLETED"] and form.get("when") != "run" and not others
    run = {name: form.get(name, "").strip() for name in ("deployment", "flow")}
    within = _span(form.get("finishes_within", "")) if form.get("when") == "run" else ""
    document["run"] = _given(
        {
            **run,
            "tags": _split(form.get("tags", "")),
            "state": "" if is_default else _one([*others, *states]),
            "finishes_within": within,
            "of": "schedule" if within and form.get("of") == "schedule" else "",
        }
    )


def _write_when(document: dict[str, Any], form: MultiDict[str, str]) -> None:
    every, when = _mapping(document.pop("every", None)), form.get("when", "")
    for name in ("within", "heartbeat"):
        document.pop(name, None)
    zone, calendar = form.get("timezone", "").strip(), form.get("calendar", "").strip()
    document |= _given({"grace": _span(form.get("grace", ""))})
    if when == "schedule":
        document["every"] = _given({**_schedule(every, form), "timezone": zone, "calendar": calendar})
        by = form.get("by", "").strip()
        document |= _given({"by": by if ":" in by else _span(by), "early": _span(form.get("early", ""))})
        count = form.get("count", "").strip()
        document |= _given({"count": int(count) if count.isdecimal() and len(count) < 9 else count})
        if document.get("count") == 1:
            del document["count"]
    elif when in ("within", "heartbeat"):
        document |= {when: _span(form.get("span", ""))} | _given({"timezone": zone, "calendar": calendar})
    elif when == "run":
        document.setdefault("run", {}).setdefault("finishes_within", "")


def _schedule(before: Mapping[str, Any], form: MultiDict[str, str]) -> dict[str, Any]:
    others = {name: before[name] for name in ("day_or", "anchor") if name in before}
    repeat = form.get("repeat", "days")
    if repeat in ("cron", "rrule"):
        return {**others, repeat: form.get(repeat, "").strip()}
    if repeat == "interval":
        return {**others, "interval": _span(form.get("interval", ""))}
    hour, _, minute = form.get("at", "").strip().partition(":")
    days = [day for day in WEEKDAYS if day in form.getlist("day")]
    if not (hour.isdecimal() and minute.isdecimal()) or not days:
        return {**others, "cron": ""}
    return {**others, "cron": f"{int(minute)} {int(hour)} * * {'*' if len(days) == 7 else _days(days)}"}


def _days(days: list[str]) -> str:
    numbers = [WEEKDAYS.index(day) + 1 for day in days]
    if len(numbers) > 2 and numbers == [*range(numbers[0], numbers[-1] + 1)]:
        return f"{numbers[0]}-{numbers[-1]}"
    return ",".join(str(number % 7) for number in numbers)


def _actions(form: MultiDict[str, str], moment: str) -> list[dict[str, Any]]:
    found = []
    for index in range(ACTIONS_MAX):
        try:
            action = serializers.loads(form.get(f"{moment}-{index}", ""))
        except ValueError:
            continue
        if not isinstance(action, dict):
            continue
        for name in ROWS.get(str(action.get("do")), ()):
            action.pop(name, None)
            if (text := form.get(f"{moment}-{index}-{name}", "").strip()) or name in ("block", "deployment"):
                action[name] = text
        found.append(action)
    return found


def _span(text: str) -> Any:
    """A duration as it is written: a bare number is one of seconds."""
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ("", None, [], {})}


def _one(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else values


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def listed(value: Any) -> list[Any]:
    """A value where it is a list; else an empty one."""
    return list(value) if isinstance(value, (list, tuple)) else []


def _texts(value: Any) -> list[str]:
    values: Iterable[Any] = value if isinstance(value, (list, tuple)) else [] if value is None else [value]
    return [str(item) for item in values if not isinstance(item, (dict, list)) and str(item)]


def plain(value: Any) -> str:
    """A value as the text of a field."""
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _split(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"[,\n]", text) if part.strip()]
