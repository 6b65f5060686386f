"""Resources: the list, as it is now or as it was at some time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.errors import InvalidInput
from orchestrator.server.db.models import Resource
from orchestrator.server.services.mapping import resources
from orchestrator.server.services.mapping.resources import ResourceFilter
from orchestrator.server.services.paging import Page

from ..looks import HEALTH, Health, health
from .events import instant


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    text: str = ""
    kind: str = ""
    source: str = ""
    state: str = ""
    owner: str = ""
    #: ``name=value``.
    label: str = ""
    as_of: datetime | None = None

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()

    def filter(self) -> ResourceFilter:
        """As the service wants it."""
        name, _, value = self.label.partition("=")
        return ResourceFilter(
            kind=self.kind or None,
            name=self.text or None,
            source=self.source or None,
            vanished=self.state == "vanished",
            state=None if self.state == "vanished" else self.state or None,
            owner=self.owner or None,
            labels={name.strip(): value.strip()} if name else {},
            as_of=self.as_of,
        )


@dataclass(frozen=True)
class ResourcesPage:
    """One page of the list; the state of each at the time asked for, by its id."""

    rows: Page[Resource]
    states: dict[str, Health] = field(default_factory=dict)


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address. Raises InvalidInput naming the one that cannot be understood."""
    state = str(arguments.get("state", "")).strip()
    if state and state not in HEALTH:
        raise InvalidInput(f"state={state} is none of {', '.join(HEALTH)}")
    label = str(arguments.get("label", "")).strip()
    if label and "=" not in label:
        raise InvalidInput(f"label={label} has no =: write name=value, such as team=flights")
    return Asked(
        text=str(arguments.get("q", "")).strip(),
        kind=str(arguments.get("kind", "")).strip(),
        source=str(arguments.get("source", "")).strip(),
        state=state,
        owner=str(arguments.get("owner", "")).strip(),
        label=label,
        as_of=instant(arguments, "as_of"),
    )


def listing(session: Session, wanted: Asked, cursor: str | None) -> ResourcesPage:
    """One page of resources, by id."""
    rows = resources.listing(session, wanted.filter(), 50, cursor)
    if wanted.as_of is None:
        return ResourcesPage(rows, {row.id: health(_now(row)) for row in rows.items})
    then = resources.states_at(session, [row.id for row in rows.items], wanted.as_of)
    return ResourcesPage(rows, {row.id: health(then.get(row.id, (None,))[0]) for row in rows.items})


def _now(row: Resource) -> str | None:
    return "vanished" if row.vanished is not None else row.state
