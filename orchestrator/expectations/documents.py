"""Documents of expectations: what people write, checked and read. Pure.

A document says what counts (``on``: events, or ``run``: runs), and when: ``every`` slot of a schedule ``by`` some time,
``within`` each so long, at each ``heartbeat``, or, of each run, that it ``finishes_within``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import time, timedelta
from typing import Any

from .. import clock
from ..errors import InvalidInput, ScheduleError
from ..states import TERMINAL, StateType
from ..timing import schedules
from ..timing.schedules import ScheduleSpec

SEVERITIES = ("info", "warning", "critical")
#: Everything that may stand in a document.
FIELDS = (
    "name", "description", "owner", "severity", "active", "on", "run", "every", "by", "early", "grace", "within",
    "heartbeat", "calendar", "timezone", "count", "for_each", "each_of", "then", "on_resolve",
)  # fmt: skip
#: Kinds: along a schedule; again and again within a span; of each run.
TIMETABLE, STREAK, EACH_RUN = "timetable", "streak", "run"
NAME_MAX, TEXT_MAX = 200, 10_000
COUNT_MAX, KEYS_MAX, LABELS_MAX, ACTIONS_MAX = 1000, 1000, 3, 20
SPAN_MIN, SPAN_MAX = timedelta(seconds=1), timedelta(days=366)
RESOURCE_ID = "resource.id"

_WAYS = ("every", "within", "heartbeat")


@dataclass(frozen=True)
class Runs:
    """Which runs count, and in what states; of what is given, all must be so."""

    deployment: str | None = None
    flow: str | None = None
    tags: tuple[str, ...] = ()
    states: tuple[str, ...] = (StateType.COMPLETED.value,)
    #: That each finishes within so long ``of`` its ``start`` or its ``schedule``.
    finishes_within: timedelta | None = None
    of: str = "start"


@dataclass(frozen=True)
class Events:
    """Which events count: labels of their resource, of related ones, names."""

    match: Mapping[str, Any] = field(default_factory=dict)
    match_related: Sequence[Mapping[str, Any]] = ()
    expect: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """An expectation, read."""

    name: str
    kind: str
    what: Runs | Events
    description: str = ""
    owner: str = ""
    severity: str = "warning"
    active: bool = True
    schedule: ScheduleSpec | None = None
    by: timedelta | time = timedelta(0)
    early: timedelta = timedelta(0)
    grace: timedelta = timedelta(0)
    within: timedelta | None = None
    is_heartbeat: bool = False
    #: Name of the calendar of the days that count; empty: all do.
    calendar: str = ""
    timezone: str = "UTC"
    count: int = 1
    for_each: tuple[str, ...] = ()
    each_of: tuple[str, ...] = ()
    then: tuple[dict[str, Any], ...] = ()
    on_resolve: tuple[dict[str, Any], ...] = ()


def read(document: Mapping[str, Any]) -> Spec:
    """Check a document that comes from outside.

    Raises:
        InvalidInput: Names the first field that is wrong and the fix; ``errors`` hold all of them.
    """
    reader = _Reader(document)
    reader.known(FIELDS, "", document)
    spec = reader.spec()
    reader.finish()
    return spec


def of_owner(document: Mapping[str, Any], deployment: str) -> dict[str, Any]:
    """A document as one of a deployment's own: a ``run`` that says not whose is about the runs of ``flow/name``."""
    run = document.get("run")
    if "run" not in document or not isinstance(run, (Mapping, type(None))) or (run is None and "on" in document):
        return dict(document)
    given = {name: value for name, value in (run or {}).items() if value is not None}
    if any(given.get(name) for name in ("deployment", "flow", "tags")):
        return dict(document)
    return {**document, "run": {**given, "deployment": deployment}}


def without_owner(document: Mapping[str, Any], deployment: str) -> dict[str, Any]:
    """The document as its owner's file holds it: what :func:`of_owner` fills in is left out."""
    run = document.get("run")
    if not isinstance(run, Mapping) or run.get("deployment") != deployment or run.get("flow") or run.get("tags"):
        return dict(document)
    return {**document, "run": {name: value for name, value in run.items() if name != "deployment"}}


def read_owned(document: Mapping[str, Any]) -> Spec:
    """As :func:`read`, for one in the file of a deployment. Raises InvalidInput."""
    return read(of_owner(document, "this/one"))


class _Reader:
    """Reads a document field by field and gathers what is wrong."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = {key: value for key, value in document.items() if value is not None}
        self.errors: dict[str, list[str]] = {}

    def finish(self) -> None:
        if self.errors:
            place, (problem, *_) = next(iter(self.errors.items()))
            raise InvalidInput(f"{place}: {problem}", self.errors)

    def wrong(self, place: str, problem: str) -> None:
        self.errors.setdefault(place, []).append(problem)

    def known(self, names: Sequence[str], place: str, given: Mapping[str, Any]) -> None:
        for name in given:
            if name not in names:
                self.wrong(f"{place}{name}", f"Is not known here; known are {', '.join(names)}.")

    def spec(self) -> Spec:
        what = self._what()
        ways = [name for name in _WAYS if name in self._document]
        runs_only = isinstance(what, Runs) and what.finishes_within is not None
        if runs_only and ways:
            self.wrong(ways[0], "Does not go with run.finishes_within, which is asked of each run: leave one out.")
        elif not runs_only and len(ways) != 1:
            self.wrong(ways[-1] if ways else "every", f"Give exactly one of {', '.join(_WAYS)} (when is it expected?).")
        way = None if runs_only or not ways else ways[0]
        kind = EACH_RUN if runs_only else TIMETABLE if way == "every" else STREAK
        for name, only in (("by", TIMETABLE), ("early", TIMETABLE), ("calendar", STREAK), ("timezone", STREAK)):
            if name in self._document and kind != only:
                inside = "; write it inside `every`" if only == STREAK and kind == TIMETABLE else ""
                self.wrong(name, f"Has no meaning here{inside}.")
        schedule, calendar = self._every() if way == "every" else (None, self._text("calendar", NAME_MAX))
        return Spec(
            name=self._text("name", NAME_MAX, is_needed=True),
            description=self._text("description", TEXT_MAX),
            owner=self._text("owner", NAME_MAX),
            severity=self._choice("severity", "warning", SEVERITIES),
            active=self._flag("active", True),
            kind=kind,
            what=what,
            schedule=schedule,
            by=self._by(kind),
            early=self._span("early", least=timedelta(0)) or timedelta(0),
            grace=self._span("grace", least=timedelta(0)) or timedelta(0),
            within=self._span(way) if way in ("within", "heartbeat") else None,
            is_heartbeat=way == "heartbeat",
            calendar=calendar,
            timezone=schedule.timezone if schedule else self._timezone(),
            count=self._whole("count", 1, 1, COUNT_MAX if kind == TIMETABLE else 1),
            **self._keys(kind),
            then=self._actions("then"),
            on_resolve=self._actions("on_resolve"),
        )

    # -- what counts

    def _what(self) -> Runs | Events:
        if ("on" in self._document) == ("run" in self._document):
            self.wrong("on", "Give exactly one of on (events) and run (runs): what is expected?")
            return Events()
        if "run" in self._document:
            return self._runs(self._mapping("run", self._document["run"]))
        return self._events(self._mapping("on", self._document["on"]))

    def _runs(self, given: Mapping[str, Any]) -> Runs:
        self.known(("deployment", "flow", "tags", "state", "finishes_within", "of"), "run.", given)
        tags = self._texts("run.tags", given.get("tags"), 100)
        named = [self._text("deployment", 2 * NAME_MAX + 1, of="run"), self._text("flow", NAME_MAX, of="run")]
        if not any(named) and not tags:
            self.wrong("run", "Say whose runs: give deployment (flow/name), flow or tags.")
        if named[0] and "/" not in named[0]:
            self.wrong("run.deployment", "Write it as flow/name.")
        within = self._span("finishes_within", of="run")
        if "of" in given and within is None:
            self.wrong("run.of", "Goes with finishes_within only.")
        default = sorted(kind.value for kind in TERMINAL) if within is not None else [StateType.COMPLETED.value]
        states = [text.upper() for text in self._texts("run.state", given.get("state"), len(StateType))] or default
        if wrong := [text for text in states if text not in StateType.__members__]:
            self.wrong("run.state", f"{wrong[0]} is no state type; those are {', '.join(StateType.__members__)}.")
        of = self._choice("of", "start", ("start", "schedule"), of="run")
        return Runs(named[0] or None, named[1] or None, tuple(tags), tuple(states), within, of)

    def _events(self, given: Mapping[str, Any]) -> Events:
        self.known(("match", "match_related", "expect"), "on.", given)
        match = self._selector("on.match", given.get("match") or {})
        related = given.get("match_related") or []
        related = [related] if isinstance(related, Mapping) else related
        if not isinstance(related, (list, tuple)):
            self.wrong("on.match_related", "Must be a list of selectors.")
            related = []
        specs = [self._selector(f"on.match_related.{place}", item) for place, item in enumerate(related)]
        expect = tuple(self._texts("on.expect", given.get("expect"), 100))
        if not match and not expect and not specs:
            self.wrong("on", "Every event would count: give match, match_related or expect.")
        return Events(match, specs, expect)

    def _selector(self, place: str, given: Any) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for label, values in self._mapping(place, given).items():
            texts = self._texts(f"{place}.{label}", values, 1000)
            if texts:
                found[str(label)] = texts
        return found

    # -- when

    def _every(self) -> tuple[ScheduleSpec | None, str]:
        given = dict(self._mapping("every", self._document["every"]))
        calendar = self._text("calendar", NAME_MAX, of="every")
        given.pop("calendar", None)
        try:
            return schedules.parse(given), calendar
        except ScheduleError as error:
            for name, problems in error.errors.items():
                self.errors[f"every.{name}"] = list(problems)
            return None, calendar

    def _by(self, kind: str) -> timedelta | time:
        given = self._document.get("by", 0)
        if isinstance(given, str) and ":" in given:
            try:
                hour, minute = given.split(":")
                return time(int(hour), int(minute))
            except ValueError:
                self.wrong("by", f"{given!r} is no time of day: write 09:15, or a duration such as 15m.")
                return timedelta(0)
        found = self._span("by", least=timedelta(0)) or timedelta(0)
        width = found + (self._span("early", least=timedelta(0)) or timedelta(0))
        if kind == TIMETABLE and not width and not self.errors and not self._span("grace", least=timedelta(0)):
            self.wrong("by", "Say by when: a time of day such as 09:15, or so long after the slot, such as 15m.")
        return found

    def _timezone(self) -> str:
        name = self._text("timezone", 100) or "UTC"
        try:
            schedules.zone_of(name)
        except ScheduleError as error:
            self.wrong("timezone", str(error).partition(": ")[2])
            return "UTC"
        return name

    # -- of which

    def _keys(self, kind: str) -> dict[str, tuple[str, ...]]:
        for_each = self._texts("for_each", self._document.get("for_each"), LABELS_MAX)
        each_of = self._texts("each_of", self._document.get("each_of"), KEYS_MAX)
        if "run" in self._document and (for_each or each_of):
            place = "for_each" if for_each else "each_of"
            self.wrong(place, "Is for events: give a run expectation for each deployment, or tags.")
        if each_of and len(for_each) > 1:
            self.wrong("for_each", "With each_of, give one label: the one whose values are listed.")
        if "each_of" in self._document and not each_of and "each_of" not in self.errors:
            self.wrong("each_of", "Lists nothing: name the ids that are expected, or leave it out.")
        if each_of and not for_each:
            for_each = [RESOURCE_ID]
        return {"for_each": tuple(for_each), "each_of": tuple(dict.fromkeys(each_of))}

    def _actions(self, name: str) -> tuple[dict[str, Any], ...]:
        given = self._document.get(name) or []
        if not isinstance(given, (list, tuple)) or len(given) > ACTIONS_MAX:
            self.wrong(name, f"Must be a list of at most {ACTIONS_MAX} actions.")
            return ()
        return tuple(dict(self._mapping(f"{name}.{place}", item)) for place, item in enumerate(given))

    # -- kinds of value

    def _place(self, name: str, of: str) -> tuple[str, Any]:
        given = self._document.get(of) if of else self._document
        return (f"{of}.{name}" if of else name), given.get(name) if isinstance(given, Mapping) else None

    def _mapping(self, place: str, given: Any) -> Mapping[str, Any]:
        if not isinstance(given, Mapping):
            self.wrong(place, "Must be an object with names and values.")
            return {}
        return given

    def _text(self, name: str, longest: int, *, is_needed: bool = False, of: str = "") -> str:
        place, value = self._place(name, of)
        if value is None and not is_needed:
            return ""
        if not isinstance(value, str) or (is_needed and not value.strip()):
            self.wrong(place, "Must be a text." if value is not None else "Is needed.")
            return ""
        if len(value) > longest or any(ord(letter) < 32 and letter not in "\n\t" for letter in value):
            self.wrong(place, f"Must have at most {longest} characters, and no control characters.")
        return value.strip()

    def _texts(self, place: str, given: Any, most: int) -> list[str]:
        if given is None:
            return []
        values = list(given) if isinstance(given, (list, tuple)) else [given]
        if len(values) > most:
            self.wrong(place, f"Has {len(values)} values: at most {most}.")
            return []
        if not all(
            isinstance(value, (str, int, float)) and str(value) and "\x00" not in str(value) for value in values
        ):
            self.wrong(place, "Must be a text or a list of texts, none of them empty.")
            return []
        return [str(value) for value in values]

    def _choice(self, name: str, default: str, choices: Sequence[str], *, of: str = "") -> str:
        place, value = self._place(name, of)
        if value is None:
            return default
        if value not in choices:
            self.wrong(place, f"Must be one of {', '.join(choices)}.")
            return default
        return str(value)

    def _flag(self, name: str, default: bool) -> bool:
        value = self._document.get(name, default)
        if not isinstance(value, bool):
            self.wrong(name, "Must be true or false.")
        return bool(value)

    def _whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self._document.get(name, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(name, f"Must be a whole number from {least} to {most}.")
            return default
        return value

    def _span(self, name: str | None, *, least: timedelta = SPAN_MIN, of: str = "") -> timedelta | None:
        if name is None:
            return None
        place, value = self._place(name, of)
        if value is None:
            return None
        read_one: Callable[[Any], timedelta] = clock.duration
        try:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError
            found = read_one(value)
        except (ValueError, OverflowError):
            self.errors[place] = [f"{value!r} is no duration: write seconds, or 90s, 5m, 1h30m, 2d."]
            return None
        if not least <= found <= SPAN_MAX:
            self.errors[place] = [f"Must be between {least.total_seconds():g} seconds and {SPAN_MAX.days} days."]
            return None
        return found
