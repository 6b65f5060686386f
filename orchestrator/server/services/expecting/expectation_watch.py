"""Expectations as they are watched: each read once, with its calendar, and found by what may concern it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from .... import serializers
from ....errors import OrchestratorError
from ....expectations import Calendar, Events, Runs, Spec, Timetable, add_counted, read
from ....timing.schedules import zone_of
from ....triggers import matches, matches_related
from ...db.models import CalendarDays, Expectation
from ..deploying import calendar_days

RUN_PREFIX = "orchestrator.flow-run."


@dataclass(frozen=True)
class Watch:
    """One expectation, read."""

    id: uuid.UUID
    deployment_id: uuid.UUID | None
    since: datetime
    spec: Spec
    calendar: Calendar

    @property
    def runs(self) -> Runs | None:
        """Which runs it is about; None: it is about events."""
        return self.spec.what if isinstance(self.spec.what, Runs) else None

    @cached_property
    def timetable(self) -> Timetable:
        """The windows of an expectation along a schedule."""
        spec = self.spec
        assert spec.schedule is not None
        return Timetable(spec.schedule, self.calendar, spec.by, spec.early, spec.grace)

    def reach(self, instant: datetime) -> datetime:
        """When the next one is due after one at ``instant``, where it is expected again and again."""
        assert self.spec.within is not None
        return add_counted(instant, self.spec.within, self.calendar, zone_of(self.spec.timezone))

    def key_of(self, labels: Mapping[str, str], related: Sequence[Mapping[str, str]]) -> str | None:
        """For which key an event counts; None: it does not."""
        what = self.spec.what
        if not isinstance(what, Events):
            return None
        if not matches(what.match, labels) or not matches_related(what.match_related, related):
            return None
        values = [labels.get(name) for name in self.spec.for_each]
        if any(value is None for value in values):
            return None
        key = "" if not values else str(values[0]) if len(values) == 1 else serializers.text(values)
        return key if not self.spec.each_of or key in self.listed else None

    @cached_property
    def listed(self) -> frozenset[str]:
        """The keys that are expected, seen or not."""
        return frozenset(self.spec.each_of)

    @property
    def is_open_ended(self) -> bool:
        """Whether keys are whatever is seen."""
        return bool(self.spec.for_each) and not self.spec.each_of


@dataclass
class Watched:
    """All expectations that are on, and which of them an event's name concerns."""

    stamp: tuple[Any, ...]
    by_id: dict[uuid.UUID, Watch] = field(default_factory=dict)
    #: Those that cannot be read any more, with the reason: a calendar is gone.
    broken: dict[uuid.UUID, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._exact: dict[str, list[Watch]] = {}
        self._patterns: list[tuple[str, Watch]] = []
        self.of_runs: list[Watch] = []

    def add(self, watch: Watch) -> None:
        """Take one in."""
        self.by_id[watch.id] = watch
        if watch.runs is not None:
            self.of_runs.append(watch)
            return
        assert isinstance(watch.spec.what, Events)
        for name in watch.spec.what.expect or ("*",):
            if "*" in name or name.startswith("!"):
                self._patterns.append((name, watch))
            else:
                self._exact.setdefault(name, []).append(watch)

    def concerned(self, name: str) -> list[Watch]:
        """Expectations of events that an event of this name may meet."""
        found = self._exact.get(name, [])
        if not self._patterns:
            return found
        more = [watch for pattern, watch in self._patterns if matches({"event": pattern}, {"event": name})]
        return list({watch.id: watch for watch in (*found, *more)}.values())


_lock = threading.Lock()
_known: Watched | None = None


def load(session: Session) -> Watched:
    """The expectations that are on; read anew when any expectation or calendar has changed."""
    global _known
    stamp = _stamp(session)
    with _lock:
        if _known is not None and _known.stamp == stamp:
            return _known
    found = Watched(stamp)
    for row in session.scalars(select(Expectation).where(Expectation.active).order_by(Expectation.id)):
        try:
            found.add(watch_of(session, row))
        except OrchestratorError as error:
            found.broken[row.id] = str(error)
    with _lock:
        _known = found
    return found


def watch_of(session: Session, row: Expectation) -> Watch:
    """An expectation, read. Raises NotFound where its calendar is gone."""
    spec = read(row.document)
    return Watch(row.id, row.deployment_id, row.since, spec, calendar_days.days(session, spec.calendar))


def _stamp(session: Session) -> tuple[Any, ...]:
    """Differs between databases, too: tests and forks have several in one process."""
    name = func.current_database()
    # The sum, since whoever changed one first may commit last.
    of = [
        select(func.count(), func.sum(func.extract("epoch", model.updated))).select_from(model)
        for model in (Expectation, CalendarDays)
    ]
    return (session.scalar(select(name)), *(tuple(session.execute(query).one()) for query in of))
