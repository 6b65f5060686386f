"""What happens to holds."""

from __future__ import annotations

from .facts import Family, action

_RELATED = {"deployment": "each deployment that it holds", "subject": "the resource that it is put on", "*": "others"}

FAMILY = Family(
    "hold",
    "orchestrator.hold.<id>",
    "Holds on resources.",
    (
        action("placed", "A hold was put on resources.", _RELATED, kind="`stop`, `limit` or `delay`", reason="why",
               match="on which resources", until="until when"),
        action("released", "It was taken off, by somebody, its time or an event.", _RELATED, reason="why"),
    ),
)  # fmt: skip
