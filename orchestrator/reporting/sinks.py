"""Whatever takes reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Sink(Protocol):
    """Takes items on their way to the server; see *Reports* in the documentation of the API for their shapes."""

    def put(self, item: Mapping[str, Any]) -> None:
        """Hand an item over; returns at once."""

    def flush(self, timeout: float) -> bool:
        """Wait until all that was put before has arrived; False when it has not after ``timeout`` seconds."""
