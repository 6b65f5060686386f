"""What happens to kinds of block."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family(
    "block-type",
    "orchestrator.block-type.<id>",
    "Kinds of block. Those of installed packages are registered by the server when it starts.",
    kept("A kind of block"),
)
