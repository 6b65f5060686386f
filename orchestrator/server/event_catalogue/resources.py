"""What happens to the resources of other systems."""

from __future__ import annotations

from .facts import CHANGED, EventFacts, Family, action

_LABELS = {"resource.kind": "what it is, such as `table`"}
_RELATED = {
    "source": "the block that shows it",
    "*": "what the resource is to others, by the role that it has, such as `part-of`",
}

FAMILY = Family(
    "resource",
    "the resource's own, such as `s3.object.bucket/key`",
    "Resources: those that looking through blocks finds, and all that people say of any.",
    (
        EventFacts("appeared", "It was seen for the first time, or again.", labels=_LABELS, related=_RELATED,
                   payload={"labels": "its labels"}),
        EventFacts("changed", "Its name, kind or labels changed.", labels=_LABELS, related=_RELATED,
                   payload={"labels": "its labels", "changes": "name to `[before, after]`"}),
        EventFacts("vanished", "It is not there any more.", labels=_LABELS, related=_RELATED,
                   payload={"last_seen": "when it was", "why": "how that is known"}),
        action("edited", "Its owner, description or labels were set by hand.", **CHANGED),
        action("merged", "Another resource turned out to be this one by another name.",
               merged="id of the other one, which is gone", name="its name"),
    ),
)  # fmt: skip
