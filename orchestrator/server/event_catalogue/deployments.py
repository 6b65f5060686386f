"""What happens to deployments."""

from __future__ import annotations

from .facts import BEFORE, CHANGED, Family, action

_FLOW = {"flow": "its flow"}
_LINES = {"changes": "what changed, a line each, its schedules and own blocks included"}

FAMILY = Family(
    "deployment",
    "orchestrator.deployment.<id>",
    "Deployments. What is applied with one, such as its schedules, is told in the same event.",
    (
        action("created", "A deployment was applied that was new.", _FLOW, after="its fields",
               schedules="its schedules"),
        action("updated", "Something of it was changed.", _FLOW, **CHANGED, **_LINES),
        action("paused", "No schedule starts it any more.", _FLOW, **CHANGED, **_LINES),
        action("resumed", "Its schedules start it again.", _FLOW, **CHANGED, **_LINES),
        action("not-ready", "A block that it needs was deleted: nothing starts it until it is applied again.",
               reason="which"),
        action("form-saved", "Parameters to start it with were kept under a name.", form="the name"),
        action("form-deleted", "A saved form of it was deleted.", form="the name"),
        action("deleted", "It was deleted, with its schedules and the runs that they made ahead.", _FLOW, **BEFORE),
    ),
)  # fmt: skip
