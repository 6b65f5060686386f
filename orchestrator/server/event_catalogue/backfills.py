"""What happens to backfills."""

from __future__ import annotations

from .facts import AFTER, Family, action

_RELATED = {"deployment": "whose slots it fills"}

FAMILY = Family(
    "backfill",
    "orchestrator.backfill.<id>",
    "Backfills; what becomes of their runs, events of these tell.",
    (
        action("created", "A backfill was made, with all its runs.", _RELATED, **AFTER),
        action("cancelled", "It was cancelled as a whole.", _RELATED),
    ),
)
