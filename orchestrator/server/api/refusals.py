"""What is answered when the only event of a request is refused."""

from __future__ import annotations

from ...errors import InvalidInput, OrchestratorError
from ..schemas.events import TOO_LARGE
from ..services.recording.events import RefusedEvent
from .errors import Refused


def refusal(one: RefusedEvent) -> OrchestratorError:
    """Why the only event that was sent was not taken."""
    if one.code == TOO_LARGE:
        return Refused(413, f"the event was not taken: {one.message}")
    return InvalidInput(f"the event was not taken: {one.message}", {one.code: [one.message]})
