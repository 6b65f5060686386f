"""The list of runs: what may be asked of it, and what it shows."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.clock import from_text
from orchestrator.errors import InvalidInput
from orchestrator.server.services.paging import Page
from orchestrator.server.services.running import runs
from orchestrator.server.services.running.run_filters import RunFilter
from orchestrator.server.services.running.runs import RunRow
from orchestrator.states import DISPLAY_NAMES, NAMED, SUSPENDING, StateType

#: Ranges offered for "created in the last ...".
WITHIN = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}

#: Most runs that the scatter shows, and that one bulk action takes.
MANY = 200
#: Most runs that are cancelled by their filters at once.
BULK = 5_000


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    text: str = ""
    states: tuple[str, ...] = ()
    late: bool = False
    tag: str = ""
    deployment_id: uuid.UUID | None = None
    queue: str = ""
    within: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def any(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()

    def filter(self, now: datetime) -> RunFilter:
        """As the service wants it; runs that lie ahead are left out unless their state is asked for."""
        after = now - WITHIN[self.within] if self.within else self.since
        return RunFilter(
            state_types=self._types(),
            state_names=self._names(),
            name=self.text or None,
            tags=(self.tag,) if self.tag else (),
            deployment_id=self.deployment_id,
            work_queue=self.queue or None,
            created_after=after,
            created_before=self.until,
            due_before=None if self.states or self.late else now,
        )

    def _types(self) -> tuple[StateType, ...]:
        chosen = tuple(StateType(name) for name in self.states)
        return chosen if not self.late or StateType.SCHEDULED in chosen else (*chosen, StateType.SCHEDULED)

    def _names(self) -> tuple[str, ...]:
        """Late ones beside other states: of the scheduled runs only the late, of the others all names we give."""
        if not self.late or StateType.SCHEDULED.value in self.states:
            return ()
        ours = [DISPLAY_NAMES[StateType(name)] for name in self.states]
        return ("Late", *ours, *(name for name, kind in NAMED.items() if kind.value in self.states))


def asked(arguments: Mapping[str, Any], states: list[str]) -> Asked:
    """Read the filters from an address.

    Args:
        arguments: Query arguments.
        states: All values of ``state``; ``LATE`` is a scheduled run whose time has passed.

    Raises:
        InvalidInput: One cannot be understood; the message names it.
    """
    known = {kind.value for kind in StateType} | {"LATE"}
    for name in states:
        if name not in known:
            raise InvalidInput(f"state={name} is none of {', '.join(sorted(known))}")
    within = str(arguments.get("within", ""))
    if within and within not in WITHIN:
        raise InvalidInput(f"within={within} is none of {', '.join(WITHIN)}")
    return Asked(
        text=str(arguments.get("q", "")).strip(),
        states=tuple(name for name in states if name != "LATE"),
        late="LATE" in states,
        tag=str(arguments.get("tag", "")).strip(),
        deployment_id=_identifier(arguments.get("deployment")),
        queue=str(arguments.get("queue", "")).strip(),
        within=within,
        since=_instant(arguments, "since"),
        until=_instant(arguments, "until"),
    )


def listing(session: Session, wanted: Asked, now: datetime, cursor: str | None) -> Page[RunRow]:
    """One page of runs, newest first."""
    return runs.listing(session, wanted.filter(now), 50, cursor)


def points(session: Session, wanted: Asked, now: datetime) -> list[list[Any]]:
    """The last runs that were started, as [id, name, state, state name, start in ms, seconds]: the scatter's dots."""
    page = runs.listing(session, wanted.filter(now), MANY, None)
    return [_point(row, now) for row in page.items if row.run.started]


def cancellable(row: RunRow) -> bool:
    """Whether cancelling the run would still do something."""
    return row.run.state_type in {"SCHEDULED", "PENDING", "RUNNING", "PAUSED"} or row.run.state_name == SUSPENDING


def _point(row: RunRow, now: datetime) -> list[Any]:
    run = row.run
    start = run.started or run.due
    seconds = ((run.ended or now) - start).total_seconds()
    label = f"{row.flow_name} · {run.name}"
    return [
        str(run.id),
        label,
        run.state_type,
        run.state_name,
        int(start.timestamp() * 1000),
        round(max(seconds, 0), 3),
    ]


def _identifier(text: Any) -> uuid.UUID | None:
    if not text:
        return None
    try:
        return uuid.UUID(str(text))
    except ValueError:
        raise InvalidInput(f"deployment={text} is no id: choose one from the list") from None


def _instant(arguments: Mapping[str, Any], name: str) -> datetime | None:
    text = str(arguments.get(name, "")).strip()
    if not text:
        return None
    try:
        return from_text(text)
    except ValueError as error:
        raise InvalidInput(f"{name}: {error}") from None
