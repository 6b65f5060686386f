"""What happens to API keys."""

from __future__ import annotations

from .facts import AFTER, Family, action

FAMILY = Family(
    "api-key",
    "orchestrator.api-key.<id>",
    "API keys. No event holds a key.",
    (
        action("created", "A key was made.", role="what it may do", **AFTER),
        action("revoked", "It is good for nothing any more.", before="its role"),
        action("login-issued", "A link was made that opens the dashboard once on its behalf."),
        action("logged-in", "The dashboard was opened on its behalf."),
    ),
)
