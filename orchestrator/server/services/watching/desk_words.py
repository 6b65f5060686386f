"""What is said of the things on a desk: a sign and one plain sentence each. Pure, the clock is handed in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

from ....expectations import LATE, MISSED
from ....states import ACTIVE, StateType
from ...db.models import DeskItem, FlowRun, Hold, Resource, SavedForm
from ..expecting.expectation_etas import LIKELY, POSSIBLE, Outlook
from ..mapping.eta_rules import Eta, length
from ..running.questions import WAITS_FOR_ANSWER

#: Signs, the worst first: it failed; it is late; it is held; it goes on; it is waited for; all is well; nothing is
#: known, or it is switched off.
SIGNS = ("failing", "late", "held", "running", "due", "fresh", "quiet")


@dataclass(frozen=True)
class Part:
    """A stretch of a sentence: a text, or an instant, told as so long ``ago``, as the time ``at`` which it is, or as
    that to the minute: ``about``.
    """

    text: str = ""
    at: datetime | None = None
    how: str = ""


@dataclass(frozen=True)
class Expected:
    """What an expectation says of a thing: how the last occurrence of each of its keys ended, and what is due next."""

    active: bool
    #: ``(status, deadline, satisfied)`` each, and when the next deadline is.
    last: Sequence[tuple[str, datetime, datetime | None]] = ()
    next: datetime | None = None
    #: When that will probably be met.
    outlook: Outlook | None = None

    @property
    def missed(self) -> list[datetime]:
        """Deadlines that passed without it, and nothing came since."""
        return [deadline for status, deadline, _ in self.last if status == MISSED]

    @property
    def came(self) -> datetime | None:
        """When it was met last."""
        return max((at for _, _, at in self.last if at is not None), default=None)


@dataclass(frozen=True)
class DeskRow:
    """One thing on a desk."""

    item: DeskItem
    kind: str
    name: str
    sign: str
    parts: list[Part]
    #: By whom its holder is told: the notifier, as type/name; empty: by nobody.
    told_by: str = ""
    forms: Sequence[SavedForm] = ()


def of_resource(
    row: Resource | None, expected: Sequence[Expected], now: datetime, eta: Eta | None = None
) -> tuple[str, list[Part]]:
    """What is said of a resource, and of when it will be fresh next; None: it was never seen."""
    if row is None:
        return "quiet", [Part("not seen yet")]
    if row.vanished is not None:
        return "failing", [Part("vanished "), _ago(row.vanished)]
    missed = [at for item in expected if item.active for at in item.missed]
    coming = min((item.next for item in expected if item.active and item.next), default=None)
    touched = max(filter(None, (row.changed, row.last_event_at)))
    parts = [Part("changed "), _ago(touched)]
    if row.state == "failing":
        sign, parts = "failing", [Part("failing"), *_since(row.state_since), Part(", "), *parts]
    elif missed:
        sign, parts = "late", [Part("late, was due "), _at(max(missed)), Part(", "), *parts]
    elif row.state == "warning":
        sign, parts = "late", [Part("with a warning"), *_since(row.state_since), Part(", "), *parts]
    elif any(item.active for item in expected) or row.state == "healthy":
        sign, parts = "fresh", [Part("fresh, " if expected else "healthy, "), *parts]
    else:
        sign = "quiet"
    risks = [part for item in expected if item.active and item.outlook for part in _risk(item.outlook)]
    return sign, [*parts, *_next(", due again ", coming), *_ahead(", expected about ", eta), *risks[:1]]


def of_deployment(
    paused: bool,
    last: FlowRun | None,
    next_run: FlowRun | None,
    holds: Sequence[Hold],
    now: datetime,
    eta: Eta | None = None,
) -> tuple[str, list[Part]]:
    """What is said of a deployment: its last run, when that will be done, and the next one."""
    sign, parts = _last_run(last)
    if sign == "running":
        parts += _ahead(", done about ", eta)
    waits = next_run is not None and next_run.due <= now
    if waits and next_run is not None and sign != "failing":
        late = next_run.state_name == "Late"
        sign = "late" if late else "due"
        parts = [Part("late, was due " if late else "waits since "), _at(next_run.due), Part(", before that "), *parts]
    if next_run is not None and not waits:
        parts += _next(", next run ", next_run.due)
    if paused:
        parts += [Part("; paused")]
    if holds:
        sign = "failing" if sign == "failing" else "held"
        parts += [Part(f"; held: {holds[0].reason}")]
    return sign, parts


def _last_run(last: FlowRun | None) -> tuple[str, list[Part]]:
    if last is None:
        return "quiet", [Part("has not run yet")]
    if last.state_type in ACTIVE:
        return "running", [Part("running since "), _at(last.started or last.state_at)]
    if last.state_type == StateType.PAUSED:
        asks = last.state_message.startswith(WAITS_FOR_ANSWER)
        told = "waits for an answer" if asks else last.state_name.lower()
        return "held", [Part(f"{told} since "), _at(last.state_at)]
    sign = {StateType.COMPLETED.value: "fresh", StateType.CANCELLED.value: "quiet"}.get(last.state_type, "failing")
    return sign, [Part(f"{last.state_name.lower()} "), _ago(last.ended or last.state_at)]


def of_expectation(expected: Expected, now: datetime) -> tuple[str, list[Part]]:
    """What is said of an expectation: whether it was met, and when it is due."""
    if not expected.active:
        return "quiet", [Part("switched off: nothing is expected")]
    if expected.missed:
        number, of = len(expected.missed), len(expected.last)
        which = f"missed by {number} of {of}, " if of > 1 else "missed, "
        sign, parts = "failing", [Part(f"{which}was due "), _at(max(expected.missed))]
    elif expected.came is not None:
        late = any(status == LATE for status, _, _ in expected.last)
        sign, parts = "fresh", [Part("met late, " if late else "met "), _ago(expected.came)]
    else:
        sign, parts = "due", [Part("nothing was due yet")]
    parts += _next(", due again " if expected.last else ", due ", expected.next)
    if expected.outlook is not None:
        parts += [*_ahead(", expected about ", expected.outlook.eta), *_risk(expected.outlook)]
    return sign, parts


def plain(parts: Sequence[Part], now: datetime, zone: tzinfo) -> str:
    """A sentence as text, with times of a zone."""
    return "".join(part.text if part.at is None else _told(part, now, zone) for part in parts)


def _told(part: Part, now: datetime, zone: tzinfo) -> str:
    assert part.at is not None
    if part.how == "ago" and part.at <= now:
        return ago(now - part.at)
    at, today = part.at.astimezone(zone), now.astimezone(zone)
    return f"{at:%H:%M}" if at.date() == today.date() else f"{at:%Y-%m-%d %H:%M}"


def ago(length: timedelta) -> str:
    """How long ago, in the largest unit: ``12 min ago``."""
    seconds = length.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def _ago(at: datetime) -> Part:
    return Part(at=at, how="ago")


def _at(at: datetime) -> Part:
    return Part(at=at, how="at")


def _since(at: datetime | None) -> list[Part]:
    return [] if at is None else [Part(" since "), _at(at)]


def _ahead(words: str, eta: Eta | None) -> list[Part]:
    """When it will be there, and why late."""
    if eta is None or eta.expected is None:
        return []
    late = f", late by {length(eta.late_s)}" if eta.late_s else ""
    why = f" because {eta.because}" if late and eta.because else ""
    return [Part(words), Part(at=eta.expected, how="about"), Part(late + why)]


def _risk(outlook: Outlook) -> list[Part]:
    text = {LIKELY: ", which is too late", POSSIBLE: ", which may be too late"}.get(outlook.risk, "")
    return [Part(text)] if text else []


def _next(words: str, at: datetime | None) -> list[Any]:
    return [] if at is None else [Part(words), _at(at)]
