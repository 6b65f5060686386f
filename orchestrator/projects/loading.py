"""Loading a flow from the code of a project."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from ..background import flow_of
from ..errors import CodeNotLoadable
from ..flows import Flow
from ..results import describe
from ..tasks import Task

#: The root of the project whose flow this process loaded last.
project: Path | None = None


def load_flow(folder: Path, entrypoint: str) -> Flow[Any, Any]:
    """Import a flow of a project; a task there becomes the flow of its background runs.

    Args:
        folder: The project's root; it becomes the first entry of ``sys.path``.
        entrypoint: ``path/to/file.py:function`` below the folder, or ``package.module:function``.

    Raises:
        CodeNotLoadable: With the entrypoint, the folder, ``sys.path`` and what was missing.
    """
    place, colon, name = entrypoint.rpartition(":")
    if not colon or not place or not name:
        raise CodeNotLoadable(f"entrypoint {entrypoint!r}: write path/to/file.py:function or package.module:function")
    global project
    project = root = Path(folder).resolve()
    _first(str(root))
    try:
        module = _from_file(root, place) if place.endswith(".py") else importlib.import_module(place)
    except CodeNotLoadable:
        raise
    except BaseException as error:  # user code at a module's head may raise anything, SystemExit included
        if isinstance(error, KeyboardInterrupt):
            raise
        raise CodeNotLoadable(_explain(entrypoint, error)) from error
    return _flow_of(module, name, entrypoint)


def load_module(name: str, file: str) -> ModuleType:
    """A module that another process of this program has: by its name, if need be with the folder of its package on
    ``sys.path``; from its file where that name is no module's, or another one's. Raises what it raises.
    """
    if (module := sys.modules.get(name)) is not None:
        return module
    spec = _spec(name)
    if spec is None and file and (root := _root(name, Path(file))) is not None:
        sys.path.append(str(root))
        importlib.invalidate_caches()
        spec = _spec(name)
    known = spec is not None and (
        not file or spec.origin is None or Path(spec.origin).resolve() == Path(file).resolve()
    )
    return importlib.import_module(name) if known else _by_path(name, Path(file))


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None


def _root(name: str, file: Path) -> Path | None:
    """The folder in which a module of a package has its name; None: it is in no package, or its file lies elsewhere."""
    *packages, own = name.split(".")
    parents = file.resolve().parents
    if not packages or file.stem != own or [folder.name for folder in parents[: len(packages)]] != packages[::-1]:
        return None
    return parents[len(packages)]


def _from_file(root: Path, place: str) -> ModuleType:
    path = (root / place).resolve()
    if not path.is_relative_to(root) or not path.is_file():
        raise CodeNotLoadable(f"entrypoint file {place} is not in {root}")
    parts = path.relative_to(root).with_suffix("").parts
    folders = [root.joinpath(*parts[:depth]) for depth in range(1, len(parts))]
    if not all((folder / "__init__.py").exists() for folder in folders):
        _first(str(path.parent), behind=str(root))
        parts = parts[-1:]
    module = sys.modules.get(".".join(parts))
    if module is None and all(part.isidentifier() for part in parts):
        module = importlib.import_module(".".join(parts))
    if module is not None and _same(module, path):
        return module
    return _by_path("_".join(("entrypoint", *parts)), path)


def _by_path(name: str, path: Path) -> ModuleType:
    """Load a file whose name is taken by another module, or is none."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _same(module: ModuleType, path: Path) -> bool:
    origin = getattr(module, "__file__", None)
    return origin is not None and Path(origin).resolve() == path


def _first(entry: str, behind: str | None = None) -> None:
    """Put a folder first on ``sys.path``, or right behind another."""
    sys.path[:] = [known for known in sys.path if known != entry]
    sys.path.insert(sys.path.index(behind) + 1 if behind in sys.path else 0, entry)
    importlib.invalidate_caches()


def _flow_of(module: ModuleType, name: str, entrypoint: str) -> Flow[Any, Any]:
    found: Any = module
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Flow):
        return found
    if isinstance(found, Task):
        return flow_of(found)
    flows = sorted(key for key, value in vars(module).items() if isinstance(value, Flow))
    there = f"its flows are {', '.join(flows)}" if flows else "it has no flow"
    what = "is not there" if found is None else "is no flow: put @flow above it" if callable(found) else "is no flow"
    raise CodeNotLoadable(f"entrypoint {entrypoint}: {name} {what}; {there}")


def _explain(entrypoint: str, error: BaseException) -> str:
    missing = f"; missing module: {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else ""
    path = os.pathsep.join(sys.path)
    return f"entrypoint {entrypoint} does not import: {describe(error)}{missing}; cwd: {os.getcwd()}; sys.path: {path}"
