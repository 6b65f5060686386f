"""What happens to chains of deployments."""

from __future__ import annotations

from .facts import Family, action, kept

FAMILY = Family(
    "chain",
    "orchestrator.chain-definition.<id>",
    "Chains of deployments.",
    (
        *kept("A chain"),
        action("started", "Its first steps were started.", {"chain": "this run of it"}, version="that it goes by"),
    ),
)
