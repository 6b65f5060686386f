"""What happens to rules for resources."""

from __future__ import annotations

from .facts import Family, action

_RULE = {"pattern": "which resources", "target": "what they are taken for; null: they are ignored"}

FAMILY = Family(
    "resource-rule",
    "orchestrator.resource-rule.<id>",
    "Rules that ignore resources, or take them for others.",
    (action("saved", "A rule was made or changed.", **_RULE), action("deleted", "A rule was deleted.", **_RULE)),
)
