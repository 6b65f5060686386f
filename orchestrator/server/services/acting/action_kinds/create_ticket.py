"""``create-ticket``: open a ticket in a tracker."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ..action_kind import Asked, Field, Kind


class CreateTicket(Kind):
    """Opens a ticket for people to work on."""

    name = "create-ticket"
    title = "Create a ticket"
    description = "Open a ticket in a tracker: Jira, GitHub, monday.com."
    outgoing = True
    fields = (
        Field("block", "block", "The tracker, as type/name.", required=True, interface="ticket", fixed=True),
        Field("title", "text", "Title of the ticket.", required=True),
        Field("description", "prose", "What it is about."),
        Field("labels", "texts", "Labels of the ticket."),
    )

    def content(self, session: Session, asked: Asked, now: datetime) -> dict[str, Any]:
        """Title, description and labels."""
        values = asked.values
        return {
            "title": " ".join(str(values["title"]).split()),
            "description": values.get("description") or "",
            "labels": values.get("labels") or [],
        }


KIND = CreateTicket()
