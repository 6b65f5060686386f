"""How looking through blocks goes."""

from __future__ import annotations

from .facts import CHANGED, EventFacts, Family, action

_BY = {"by": "the server"}

FAMILY = Family(
    "discovery",
    "orchestrator.block.<id>",
    "Looking through a block on an ongoing basis.",
    (
        action("updated", "When or where it is done was changed.", **CHANGED),
        EventFacts("failed", "A look failed; those that fail after it are not told.",
                   payload={**_BY, "error": "why"}),
        EventFacts("recovered", "A look went well again.",
                   payload={**_BY, "failures": "how many had failed in a row"}),
    ),
)  # fmt: skip
