"""Every kind of block has a page, a description, a logo, an example that is true, and described fields."""

from __future__ import annotations

import ast
import configparser
import importlib
import importlib.metadata
from pathlib import Path

import pytest

from orchestrator.block import Block
from orchestrator.kinds import block_kinds

TREE = Path(__file__).resolve().parents[2]
SLUGS = sorted(path.stem.replace("_", "-") for path in (TREE / "blocks").glob("*.py") if path.stem != "__init__")
each_kind = pytest.mark.parametrize("slug", SLUGS)


@each_kind
def test_a_kind_has_what_people_choose_it_by(slug: str) -> None:
    facts = block_kinds.find(slug).type_facts()
    assert facts["name"]
    assert facts["description"].endswith(".")
    assert facts["logo"].startswith(("tabler:", "data:image/")), "an icon of Tabler, or a small picture"
    assert facts["code_example"].strip()
    assert facts["docs_url"] == "" or facts["docs_url"].startswith("https://")
    undescribed = [name for name, item in facts["schema"].get("properties", {}).items() if not item.get("description")]
    assert undescribed == []
    assert facts["untested"] == "" or facts["untested"].endswith(".")


@each_kind
def test_the_page_of_a_kind_names_all_its_fields(slug: str) -> None:
    facts = block_kinds.find(slug).type_facts()
    text = (TREE / "docs" / "blocks" / f"{slug}.md").read_text("utf-8")
    for name, item in facts["schema"].get("properties", {}).items():
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")]
        assert ("**secret**" in row) == bool(item.get("writeOnly"))
    assert facts["import_path"].replace(":", ".") in text
    assert facts["untested"] in text
    assert f"](blocks/{slug}.md) | `{slug}` |" in (TREE / "docs" / "blocks.md").read_text("utf-8")


def test_no_page_is_left_of_a_kind_that_is_gone() -> None:
    assert sorted(path.stem for path in (TREE / "docs" / "blocks").glob("*.md")) == SLUGS


@each_kind
def test_the_example_of_a_kind_names_only_what_there_is(slug: str) -> None:
    kind = block_kinds.find(slug)
    Example(kind.type_facts()["code_example"]).check()


class Example:
    """The names in a piece of code: what is imported, fields that are given, methods that are called."""

    def __init__(self, code: str) -> None:
        self.tree = ast.parse(code)
        self.known: dict[str, object] = {}

    def check(self) -> None:
        imports = [node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom)]
        assert any((node.module or "").startswith("orchestrator") for node in imports), "it imports nothing of ours"
        for node in imports:
            module = importlib.import_module(node.module or "")
            self.known.update({alias.asname or alias.name: getattr(module, alias.name) for alias in node.names})
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.known[node.targets[0].id] = self.kind_of(node.value)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Attribute) and (kind := self.kind_of(node.value)) is not None:
                assert node.attr in dir(kind) or node.attr in kind.model_fields, f"{kind.__name__} has no {node.attr}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                self.check_fields(node)

    def check_fields(self, call: ast.Call) -> None:
        kind = self.known.get(call.func.id) if isinstance(call.func, ast.Name) else None
        if isinstance(kind, type) and issubclass(kind, Block):
            given = {item.arg for item in call.keywords if item.arg}
            assert given <= {*kind.model_fields}, f"{kind.__name__} has no field {given - {*kind.model_fields}}"
            needed = {name for name, field in kind.model_fields.items() if field.is_required()}
            assert needed <= given, f"{kind.__name__} needs {needed - given}"

    def kind_of(self, node: ast.expr) -> type[Block] | None:
        """The class of an expression, where that is plain: the class itself, one made of it, or one that is loaded."""
        found: object = None
        if isinstance(node, ast.Name):
            found = self.known.get(node.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found = self.known.get(node.func.id)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load":
            found = self.kind_of(node.func.value)
        return found if isinstance(found, type) and issubclass(found, Block) else None


def test_setup_cfg_makes_exactly_the_kinds_of_the_tree_known() -> None:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(TREE / "setup.cfg", "utf-8")
    lines = [line for line in parser["options.entry_points"]["orchestrator.blocks"].splitlines() if line.strip()]
    found = dict(line.split(" = ") for line in lines)
    assert sorted(found) == SLUGS
    for slug, path in found.items():
        assert path == block_kinds.import_path(block_kinds.find(slug))
        assert importlib.metadata.EntryPoint(slug, path, block_kinds.ENTRY_POINTS).load() is block_kinds.find(slug)
