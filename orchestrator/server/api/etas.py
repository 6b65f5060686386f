"""When something will be done, as JSON."""

from __future__ import annotations

from datetime import datetime

from flask import Response

from ...errors import InvalidInput, ScheduleError
from ...timing.schedules import zone_of
from ..services.mapping import eta, eta_rules
from .resource import answer


def answer_eta(found: eta_rules.Eta, timezone: str, now: datetime) -> Response:
    """It, with a sentence whose times are those of a zone. Raises InvalidInput where there is no such zone."""
    try:
        zone = zone_of(timezone)
    except ScheduleError:
        problem = f"{timezone!r} is no time zone: write one such as Europe/Berlin."
        raise InvalidInput(f"timezone: {problem}", {"timezone": [problem]}) from None
    return answer(eta.as_json(found, eta_rules.sentence(found, zone, now)))
