"""``orchestrator block types``, ``register`` and ``new``: the kinds of block that there are, and how to add one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from ..block import Block
from ..client import Client
from ..errors import BlockError, InvalidInput
from ..kinds import block_kinds
from . import block_starter
from .output import emit, note, output_option

_COLUMNS = {"slug": "Type", "name": "Name", "interfaces": "Interfaces", "description": "Description"}


@click.command()
@click.option("--interface", metavar="INTERFACE", help="Only those that implement it, such as file-system.")
@output_option
def types(interface: str | None, output: str) -> None:
    """List the kinds of block that the server knows, and those of packages installed here that are broken."""
    found = list(Client.from_settings().pages("block-types", {"interface": interface, "limit": 200}))
    broken = _broken()
    rows = [{**item, "broken": broken.pop(item["slug"], None)} for item in found]
    if not interface:
        rows += [{"slug": slug, "name": slug, "interfaces": [], "broken": why} for slug, why in broken.items()]
    if output == "table":
        rows = [{**row, "description": f"BROKEN: {row['broken']}"} if row["broken"] else row for row in rows]
    emit(rows, output, columns=_COLUMNS, empty="The server knows no such kind of block.")


@click.command()
@click.argument("source", metavar="FILE|MODULE")
def register(source: str) -> None:
    """Tell the server of the kinds of block that a Python file or module defines."""
    module = _import(source)
    kinds = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Block) and value.__module__ == module.__name__
    ]
    if not kinds:
        raise InvalidInput(f"{source} defines no block: no class in it is a subclass of orchestrator.Block")
    try:
        facts = [kind.type_facts() for kind in kinds]
    except BlockError as error:
        raise InvalidInput(f"{source}: {error}") from None
    client = Client.from_settings()
    for item in facts:
        client.post("block-types", item)
        note(f"registered {item['slug']} ({item['import_path']})")


@click.command()
@click.argument("name")
@click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=".", help="Where to; the current folder."
)
def new(name: str, folder: Path) -> None:
    """Write a starter file with a kind of block of your own, and its test.

    NAME is what people call it, such as Warehouse or "Sales warehouse".
    """
    starter = block_starter.starter(name)
    if starter.slug in block_kinds.installed():
        raise InvalidInput(f"there is a kind {starter.slug} already: choose another name")
    texts = {folder / starter.file: starter.kind, folder / starter.test_file: starter.test}
    for place in texts:
        if place.exists():
            raise InvalidInput(f"{place} is there already: choose another name or --folder")
    folder.mkdir(parents=True, exist_ok=True)
    for place, text in texts.items():
        place.write_text(text, encoding="utf-8")
        note(f"wrote {place}")
    note(f"next: python -m pytest {folder / starter.test_file}; orchestrator block register {folder / starter.file}")


def _broken() -> dict[str, str]:
    """Kinds of installed packages that cannot be used here, with why."""
    found = {}
    for slug, path in block_kinds.installed().items():
        if path.startswith("orchestrator."):
            continue  # they need nothing to be imported
        try:
            block_kinds.find(slug).type_facts()
        except Exception as error:  # a package may raise anything
            found[slug] = str(error) if isinstance(error, BlockError) else f"{path}: {error!r}"
    return found


def _import(source: str) -> ModuleType:
    path = Path(source)
    try:
        if path.suffix != ".py":
            sys.path.insert(0, str(Path.cwd()))
            return importlib.import_module(source)
        return _import_file(path)
    except InvalidInput:
        raise
    except Exception as error:  # a module may raise anything
        raise InvalidInput(f"{source} does not import: {type(error).__name__}: {error}") from None


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise InvalidInput(f"there is no file {path}")
    if path.stem in sys.stdlib_module_names:
        raise InvalidInput(f"{path} has the name of a module of Python's own: rename it, or no run can import it")
    sys.path.insert(0, str(path.resolve().parent))
    spec: Any = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
