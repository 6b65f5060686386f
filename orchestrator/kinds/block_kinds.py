"""Finding kinds of block: the classes of this process, and those that installed packages bring.

Packages bring kinds by the entry-point group ``orchestrator.blocks``; nothing of them is imported before it is asked
for, and one that is broken hides no other.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pkgutil
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import BlockError

if TYPE_CHECKING:
    from ..block import Block

ENTRY_POINTS = "orchestrator.blocks"

#: Slug -> class, of every kind that this process has defined; the class itself enters it.
classes: dict[str, type[Block]] = {}


def find(slug: str, hint: str | None = None) -> type[Block]:
    """The class of a kind of block, imported when an entry point brings it.

    Args:
        slug: Such as ``s3``.
        hint: Where the server says the class lies; only named in the error, never imported.

    Raises:
        BlockError: No class of this process and no entry point has it, or its module does not import.
    """
    if slug not in classes and slug in (paths := installed()):
        classes[slug] = _imported(slug, paths[slug])
    if slug not in classes:
        module, _, name = (hint or "").partition(":")
        how = f"add `from {module} import {name}`" if name else "import the module that defines its class"
        raise BlockError(
            f"block type {slug!r} is unknown in this process: {how}, or install the package that brings it"
        )
    return classes[slug]


def _imported(slug: str, path: str) -> type[Block]:
    try:
        module = importlib.import_module(path.partition(":")[0])
    except ImportError as error:
        raise BlockError(f"block type {slug!r} ({path}) does not import: {error}") from error
    # Defining a class enters it, unless its module was imported before some other dictionary took the place of this.
    kinds = (value for value in vars(module).values() if isinstance(value, type))
    found = classes.get(slug) or next((kind for kind in kinds if getattr(kind, "_slug", None) == slug), None)
    if found is None:
        raise BlockError(f"block type {slug!r} ({path}) is named wrong: no class in that module has this _slug")
    return found


@lru_cache(maxsize=1)
def installed() -> dict[str, str]:
    """Kinds of block that installed packages bring: slug -> ``module:Class``. Nothing is imported."""
    found = {}
    shipped = importlib.import_module("orchestrator.blocks")
    for module in pkgutil.iter_modules(shipped.__path__):
        if module.ispkg:  # what several kinds share
            continue
        # A kind of ours lies in a file named like its slug, so that a checkout without metadata has them as well.
        found[module.name.replace("_", "-")] = f"orchestrator.blocks.{module.name}"
    for entry in importlib.metadata.entry_points(group=ENTRY_POINTS):
        found[entry.name] = entry.value
    return found


def known() -> dict[str, type[Block] | BlockError]:
    """Every kind of block of this process and of installed packages; in place of one that is broken, why."""
    result: dict[str, type[Block] | BlockError] = {}
    for slug in sorted({*classes, *installed()}):
        try:
            result[slug] = find(slug)
        except Exception as error:  # one broken package must not hide all other kinds
            result[slug] = error if isinstance(error, BlockError) else BlockError(f"block type {slug!r}: {error!r}")
    return result


def import_path(kind: type) -> str:
    """``module:Class``."""
    return f"{kind.__module__}:{kind.__qualname__}"
