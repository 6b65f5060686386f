"""What happens to the keys that secrets are encrypted with."""

from __future__ import annotations

from .facts import Family, action

FAMILY = Family(
    "secret-key",
    "orchestrator.secret-key",
    "The keys that secrets are encrypted with. The resource's name is the new key's fingerprint.",
    (
        action("rotated", "All secrets that could be read are encrypted with the first key.",
               unreadable="how many blocks could not be read"),
    ),
)  # fmt: skip
