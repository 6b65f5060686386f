"""What happens to the resources of other systems."""

from __future__ import annotations

from .facts import EventFacts, Family, action

_LABELS = {"resource.kind": "what it is, such as `table`"}
_RELATED = {
    "source": "the block that shows it",
    "*": "what the resource is to others, by the role that it has, such as `part-of`",
}

FAMILY = Family(
    "resource",
    "the resource's own, such as `s3.object.bucket/key`",
    "Resources that looking through blocks finds.",
    (
        EventFacts("appeared", "It was seen for the first time, or again.", labels=_LABELS, related=_RELATED,
                   payload={"labels": "its labels"}),
        EventFacts("changed", "Its name, kind or labels changed.", labels=_LABELS, related=_RELATED,
                   payload={"labels": "its labels", "changes": "name to `[before, after]`"}),
        EventFacts("vanished", "It is not there any more.", labels=_LABELS, related=_RELATED,
                   payload={"last_seen": "when it was", "why": "how that is known"}),
        action("edited", "Somebody set its owner, labels or description.", changes="name to `[before, after]`"),
        action("merged", "Somebody said that another resource is this one by another name.", merged="the other's id",
               name="the other's name"),
    ),
)  # fmt: skip
