"""The kinds of block that a suite has to cover: all that are installed, so that a new one without a case is noticed."""

from __future__ import annotations

import inspect

from orchestrator.block import Block
from orchestrator.interfaces import Interface
from orchestrator.kinds import block_kinds


def with_interface(interface: type[Interface]) -> dict[str, type[Block]]:
    """Every installed kind that has the interface, by its slug."""
    kinds = {slug: block_kinds.find(slug) for slug in sorted(block_kinds.installed())}
    return {slug: kind for slug, kind in kinds.items() if issubclass(kind, interface) and not inspect.isabstract(kind)}
