"""What happens to calendars."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family("calendar", "orchestrator.calendar.<id>", "Calendars of days that count.", kept("A calendar"))
