"""``python -m benchmarks [--list] [NAME...]``: run benchmarks, all of them when none is named.

A benchmark is a module of this package with ``BAR``, a sentence that says what is to be met, and ``run()``, which
yields figures.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from types import ModuleType

_TOOLS = {"__main__", "bucket", "figures", "project", "stack"}


def names() -> list[str]:
    """The benchmarks there are."""
    folder = importlib.import_module("benchmarks").__path__
    return sorted(found.name for found in pkgutil.iter_modules(folder) if found.name not in _TOOLS)


def load(name: str) -> ModuleType:
    """The module of one benchmark. Raises TypeError when it lacks ``BAR`` or ``run``."""
    module = importlib.import_module(f"benchmarks.{name}")
    if not isinstance(getattr(module, "BAR", None), str) or not callable(getattr(module, "run", None)):
        raise TypeError(f"benchmarks/{name}.py needs BAR, a text, and run()")
    return module


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line names; 0, or 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure; one JSON line a figure.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="what to measure; all when none is given")
    parser.add_argument("--list", action="store_true", help="name the benchmarks with their bars")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.names) - set(names()))
    if unknown:
        print(f"Error: there is no benchmark {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    for name in options.names or names():
        module = load(name)
        if options.list:
            print(f"{name}: {module.BAR}")
            continue
        print(f"{name}: {module.BAR}", file=sys.stderr)
        for figure in module.run():
            print(figure.line(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
