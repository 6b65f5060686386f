"""Tickets for people to work on."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .base import Interface


@dataclass(frozen=True)
class TicketReference:
    """A ticket: what the tracker calls it, and where people read it."""

    id: str
    url: str


class Ticket(Interface):
    """A tracker of issues. Raises as a notifier does; NotFound for a ticket that is not there."""

    interface: ClassVar[str] = "ticket"

    @abc.abstractmethod
    def open(self, title: str, body: str, labels: Sequence[str] = ()) -> TicketReference:
        """Open a ticket."""

    @abc.abstractmethod
    def comment(self, ticket_id: str, body: str) -> None:
        """Add a comment to a ticket."""

    @abc.abstractmethod
    def close(self, ticket_id: str, body: str = "") -> None:
        """Close a ticket, with a last comment; a closed one stays closed."""

    @abc.abstractmethod
    def is_open(self, ticket_id: str) -> bool:
        """Whether it is still to be worked on."""
