"""What happens to rules about resources."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family(
    "resource-rule",
    "orchestrator.resource-rule.<id>",
    "Rules by which resources are left out, or merged into one.",
    kept("A rule"),
)
