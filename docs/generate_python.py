"""The page of the Python API: every public name, by the module that it lives in. What is said of each, the site's
builder takes from its docstring and annotations.
"""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType

import orchestrator

_HEAD = """# Python API

All names are imported from `orchestrator`: `from orchestrator import flow, task`. They are typed; `mypy` and `pyright`
read the types from the package.
"""


def page(made: str) -> str:
    """The page; ``made`` says that it was made."""
    homes: dict[str, list[str]] = {}
    for name, home in sorted(orchestrator._HOMES.items()):
        homes.setdefault(home, []).append(name)
    sections = [_section(importlib.import_module(f"orchestrator.{home}"), names) for home, names in homes.items()]
    return "\n".join([f"{made}\n", _HEAD, *sorted(sections)])


def _section(home: ModuleType, names: list[str]) -> str:
    title = (inspect.getdoc(home) or home.__name__).splitlines()[0]
    title = re.split("[:;,.]", title)[0]
    parts = [f"::: {_path(home, name)}\n" for name in names]
    return "\n".join([f"## {title}\n", *parts])


def _path(home: ModuleType, name: str) -> str:
    """Where a name is defined: a module may pass one on."""
    found = getattr(home, name)
    where = getattr(found, "__module__", home.__name__)
    return f"{where if where.startswith('orchestrator.') else home.__name__}.{name}"
