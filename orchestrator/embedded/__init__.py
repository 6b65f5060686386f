"""Postgres and Redis as child processes, and the supervisor behind ``orchestrator server start``."""

from __future__ import annotations

from .services import EmbeddedServices
from .supervisor import Options, Supervisor

__all__ = ["EmbeddedServices", "Options", "Supervisor"]
