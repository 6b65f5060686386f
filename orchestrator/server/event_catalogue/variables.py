"""What happens to variables."""

from __future__ import annotations

from .facts import Family, kept

FAMILY = Family("variable", "orchestrator.variable.<id>", "Variables.", kept("A variable"))
