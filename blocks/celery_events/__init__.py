"""What a Celery application publishes: how it is read, and the live bridge that tells it on."""

from __future__ import annotations

from .stream import EVENTS, REMEMBERED, Look, events_in, scalar

__all__ = ["EVENTS", "REMEMBERED", "Look", "events_in", "scalar"]
