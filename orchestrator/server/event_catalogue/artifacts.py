"""What people do with artifacts."""

from __future__ import annotations

from .facts import BEFORE, Family, action

FAMILY = Family(
    "artifact",
    "orchestrator.artifact.<id>",
    "What runs show to people.",
    (action("deleted", "An artifact was deleted, or all of its key; `number` of `before` tells how many.", **BEFORE),),
)
