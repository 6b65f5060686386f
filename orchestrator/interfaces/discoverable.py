"""Systems that can be watched without being orchestrated."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from .base import Interface


@dataclass(frozen=True)
class Related:
    """Another resource, and what it is to the one that names it (``role``: ``part-of``, ``reads``, ``writes``, ...)."""

    id: str
    role: str


@dataclass(frozen=True)
class Resource:
    """Something that a system has: a bucket, a table, a pod.

    Attributes:
        id: Unique among all resources, and the same at every look: ``s3://bucket/raw``, ``postgres://host/db/public.orders``.
        kind: What it is, dotted, the system first: ``s3.bucket``, ``sql.table``, ``kubernetes.pod``.
        name: What people call it.
        labels: What may be searched for, and what it is like: sizes, counts, versions. A change of one is reported.
        related: Other resources.
        volatile: Labels whose changes are stored, but are no news: a latency, a queue's depth.
    """

    id: str
    kind: str
    name: str
    labels: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    related: tuple[Related, ...] = ()
    volatile: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Observed:
    """Something that happened in a system.

    Attributes:
        event: Its name, the system first: ``s3.object.created``.
        resource: What it happened to.
        occurred: When, by the system's clock, aware; None: just now.
        payload: Facts beside it.
        key: The same for the same happening at every look, so that it is recorded once; empty: it cannot be told.
    """

    event: str
    resource: Resource
    occurred: datetime | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    key: str = ""


class Discoverable(Interface):
    """A system whose resources and events can be looked up. An agent does so from time to time, never the server."""

    interface: ClassVar[str] = "discoverable"

    @abc.abstractmethod
    def discover(self) -> Iterator[Resource]:
        """All that is there now. What an earlier look found and this one does not has vanished.

        Raises:
            Unavailable, AccessDenied, NotFound: It cannot be told; what is known stays as it is.
        """

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Tell what happened since the look that gave ``cursor``; returns the cursor of the next one.

        Memory is bounded, however much there is: events go to ``emit`` one by one.

        Args:
            cursor: What the last look returned, JSON; None at the first, which only takes note of what is there.
            emit: Takes the events, oldest first where that is known.
        """
        return cursor
