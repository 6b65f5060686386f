"""What happens to artifacts."""

from __future__ import annotations

from .facts import BEFORE, EventFacts, Family, action

FAMILY = Family(
    "artifact",
    "orchestrator.artifact.<id>",
    "What runs show to people.",
    (
        EventFacts(
            "created",
            "An artifact with a key was made: a new version of it. A progress that moves on tells nothing.",
            labels={"artifact.key": "its key", "artifact.type": "markdown, table, link, image or progress"},
            related={"flow-run": "the run that made it"},
        ),
        action("deleted", "An artifact was deleted, or all of its key; `number` of `before` tells how many.", **BEFORE),
    ),
)
