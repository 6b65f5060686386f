"""The events that the server itself writes: what each says, and of what. Their names are its own."""

from __future__ import annotations

#: First words of names that nobody outside may use: whoever could, could write into the audit trail, or trigger what
#: our own events trigger.
FAMILIES = frozenset(
    {
        "action", "agent", "api-key", "artifact", "block", "block-type", "deployment", "discovery", "expectation",
        "firing", "flow-run", "hold", "limit", "log", "notification", "resource", "resource-rule", "schedule", "secret-key",
        "task-run", "trigger", "user", "variable", "webhook", "work-queue",
    }
)  # fmt: skip


def is_reserved(name: str) -> bool:
    """Whether an event's name belongs to the server alone."""
    return name.partition(".")[0].strip().casefold() in FAMILIES
