"""Resources: the list as it is now or was at some time, and one resource with what is around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from orchestrator.server.db.models import Resource
from orchestrator.server.services import resources
from orchestrator.server.services.paging import Page
from orchestrator.server.services.resources import ResourceFilter


@dataclass(frozen=True)
class Asked:
    """The filters of the list, as the address holds them."""

    text: str = ""
    kind: str = ""
    source: str = ""
    vanished: bool = False

    @property
    def narrowed(self) -> bool:
        """Whether something is filtered at all."""
        return self != Asked()

    def filter(self) -> ResourceFilter:
        """As the service wants it."""
        return ResourceFilter(self.kind or None, self.text or None, self.source or None, self.vanished)


def asked(arguments: Mapping[str, Any]) -> Asked:
    """Read the filters from an address."""
    return Asked(
        text=str(arguments.get("q", "")).strip(),
        kind=str(arguments.get("kind", "")).strip(),
        source=str(arguments.get("source", "")).strip(),
        vanished=bool(arguments.get("vanished")),
    )


def listing(session: Session, wanted: Asked, cursor: str | None) -> Page[Resource]:
    """One page of resources, by id."""
    return resources.listing(session, wanted.filter(), 50, cursor)
