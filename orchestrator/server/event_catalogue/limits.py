"""What happens to limits."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family(
    "limit",
    "orchestrator.limit.<id>",
    "Limits of how many runs use something at a time. Those that blocks declare change with them.",
    kept("A limit", {"block": "the block that declares it"}),
)
