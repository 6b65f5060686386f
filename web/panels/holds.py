"""Holds: the list, and the form that places one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from orchestrator.clock import duration, from_text
from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Hold, Resource
from orchestrator.server.services.acting import holds
from orchestrator.server.services.acting.holds import HoldRow, Preview, Wanted
from orchestrator.server.services.paging import Page
from orchestrator.triggers.matching import is_exact, selector_text

from ..looks import Look

#: Resources that are suggested while one types.
SUGGESTED = 12
KINDS = {
    "stop": Look("failed", "hand-stop", "Stop"),
    "limit": Look("late", "stack-2", "Limit"),
    "delay": Look("paused", "hourglass", "Delay"),
}
#: How a hold may end by itself, beside by hand.
ENDS = {"hand": "When somebody releases it", "for": "After a time", "until": "At a time", "event": "By an event"}


@dataclass(frozen=True)
class HoldsPage:
    """One page of the list."""

    rows: Page[HoldRow]
    released: bool
    on: str


def listing(session: Session, released: bool, on: str, cursor: str | None, now: datetime) -> HoldsPage:
    """Holds in force, or those that were released; ``on`` narrows to those in force on a resource."""
    rows = holds.listing(session, now, in_force=not released, on=on or None, cursor=cursor)
    return HoldsPage(rows, released, on)


def how(hold: Hold) -> str:
    """What a hold does, in words."""
    if hold.kind == "limit":
        return f"at most {hold.slots} run{'' if hold.slots == 1 else 's'} that touch it at once"
    return "no run that touches it starts" if hold.kind == "stop" else "runs that touch it start later"


def on_one(match: Mapping[str, Any]) -> str:
    """The id of the one resource that a hold is on; empty for a pattern."""
    wanted = match.get("resource.id")
    return wanted if set(match) == {"resource.id"} and isinstance(wanted, str) and is_exact(wanted) else ""


def title(match: Mapping[str, Any]) -> str:
    """What a hold is on."""
    return on_one(match) or selector_text(match)


def suggestions(session: Session, text: str) -> list[tuple[str, str]]:
    """Resources to choose from, whose id or name has this text, as (id, name)."""
    query = select(Resource.id, Resource.name).where(Resource.vanished.is_(None))
    if text:
        has = (column.icontains(text, autoescape=True) for column in (Resource.id, Resource.name))
        query = query.where(or_(*has))
    found = session.execute(query.order_by(func.length(Resource.id), Resource.id).limit(SUGGESTED))
    return [(identifier, name) for identifier, name in found]


def preview(session: Session, form: Mapping[str, str], now: datetime) -> Preview | None:
    """What the hold of a form would hold; None while it names nothing that can be read."""
    try:
        return holds.preview(session, _match(form), now)
    except InvalidInput:
        return None


def read(form: Mapping[str, str], now: datetime) -> Wanted:
    """Read the form. Raises InvalidInput, whose ``errors`` name the fields."""
    kind, ends = form.get("kind", "stop"), form.get("ends", "hand")
    given = {name: form.get(name, "").strip() for name in ("reason", "slots", "delay", "for", "until", "event", "of")}
    if kind not in KINDS or ends not in ENDS:
        raise InvalidInput("the form is out of date", {"kind": ["Load the page again."]})
    if not given["reason"]:
        raise _wrong("reason", "Say why: it is what people read who ask why their run waits.")
    if ends == "event" and not given["event"]:
        raise _wrong("event", "Name the event that releases it, such as soda.check.passed.")
    return Wanted(
        match=_match(form),
        kind=kind,
        reason=given["reason"],
        slots=_slots(given["slots"]) if kind == "limit" else None,
        delay_s=_lasting("delay", given["delay"]) if kind == "delay" else None,
        until=_until(ends, given, now),
        until_event={"event": given["event"], "match": {"resource.id": given["of"]} if given["of"] else {}}
        if ends == "event"
        else None,
    )


def _match(form: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if form.get("resource", "").strip():
        found["resource.id"] = form["resource"].strip()
    for line in filter(None, map(str.strip, form.get("labels", "").splitlines())):
        name, sign, pattern = map(str.strip, line.partition("="))
        if not sign or not name or not pattern:
            raise _wrong("labels", f"{line!r} is not name=pattern: write one label a line, such as team=sales.")
        found[name] = pattern
    if not found:
        raise _wrong("resource", "Name what is held: a resource's id, a pattern, or labels below.")
    return found


def _slots(text: str) -> int:
    if not text.isdecimal() or int(text) > 10_000:
        raise _wrong("slots", "Give a number from 0 to 10000.")
    return int(text)


def _lasting(field: str, text: str) -> float:
    try:
        found = duration(text).total_seconds()
    except ValueError:
        raise _wrong(field, f"{text!r} is no duration: write 90s, 5m, 1h30m, 2d.") from None
    if not 0 < found <= 366 * 86_400:
        raise _wrong(field, "Give more than nothing and at most 366 days.")
    return found


def _until(ends: str, given: Mapping[str, str], now: datetime) -> datetime | None:
    if ends == "for":
        return now + timedelta(seconds=_lasting("for", given["for"]))
    if ends != "until":
        return None
    try:
        return from_text(given["until"])
    except ValueError:
        raise _wrong("until", "Say when it ends.") from None


def _wrong(field: str, problem: str) -> InvalidInput:
    return InvalidInput(f"{field}: {problem}", {field: [problem]})
