"""What happens to blocks."""

from __future__ import annotations

from .facts import AFTER, BEFORE, CHANGED, Family, action

_TYPE = {"block-type": "its type"}
_FIELDS = {"fields": "names of the fields that changed, secrets among them"}

FAMILY = Family(
    "block",
    "orchestrator.block.<id>",
    "Blocks. No event holds a secret: of those it is told that they changed.",
    (
        action("created", "A block was saved.", _TYPE, **AFTER),
        action("updated", "Its values were changed.", _TYPE, **_FIELDS, **CHANGED),
        action("rotated", "It was given new secrets.", _TYPE, **_FIELDS, **CHANGED,
               dependents="how many `blocks` and `deployments` use it"),
        action("loaded", "It was read with its secrets in clear.", _TYPE),
        action("deleted", "It was deleted.", _TYPE, **BEFORE, used_by="what used it and does no longer"),
        action("test-asked", "Somebody had an agent try it.", _TYPE, run="id of the errand"),
        action("test-message-asked", "Somebody sent a message by it to see whether it arrives.", _TYPE,
               action="id of the action that sends it"),
        action("browse-asked", "Somebody had an agent list a folder in it.", _TYPE, run="id of the errand",
               path="which folder"),
        action("inspect-asked", "Somebody had an agent look for flows in it.", _TYPE, run="id of the errand",
               path="in which folder"),
        action("discover-asked", "Somebody had an agent look through it.", _TYPE, run="id of the errand"),
    ),
)  # fmt: skip
