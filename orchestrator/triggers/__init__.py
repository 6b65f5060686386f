"""What triggers wait for, decided without clock or database: both are handed in."""

from __future__ import annotations

from .matching import matches, matches_related, meets

__all__ = ["matches", "matches_related", "meets"]
