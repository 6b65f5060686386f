"""What the installed kinds of block tell of themselves, found out in a process of its own.

The server and its pages need to know every kind, but never import one: packages of others are a user's code, and
those of ours bring whole client libraries. ``python -m orchestrator.kinds.kind_facts`` prints what there is as JSON.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ..errors import BlockError
from ..serializers import dumps, loads
from . import block_kinds

#: Seconds that importing all kinds may take.
WITHIN = 120.0


@dataclass(frozen=True)
class Installed:
    """The kinds that packages bring.

    Attributes:
        types: What :meth:`orchestrator.block.Block.type_facts` gives, of each that can be used.
        broken: Slug -> why it cannot be used here.
    """

    types: list[dict[str, Any]] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)


def imported() -> Installed:
    """Import all installed kinds into this process; one that is broken stops no other."""
    found = Installed()
    for slug in sorted(block_kinds.installed()):
        try:
            found.types.append(block_kinds.find(slug).type_facts())
        except Exception as error:  # a package may raise anything
            found.broken[slug] = " ".join(str(error).split()) or repr(error)
    return found


@lru_cache(maxsize=1)
def ask() -> Installed:
    """The same, of a process that is started for it; asked once in the life of this one.

    Raises:
        BlockError: The process ended badly.
    """
    command = [sys.executable, "-m", "orchestrator.kinds.kind_facts"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=WITHIN, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BlockError(f"the installed kinds of block cannot be looked at: {error}") from None
    if done.returncode != 0:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
        raise BlockError(f"the installed kinds of block cannot be looked at: {last[0]}")
    return Installed(**loads(done.stdout.splitlines()[-1]))  # a package may print while it is imported


if __name__ == "__main__":
    sys.stdout.buffer.write(b"\n" + dumps(vars(imported())))
