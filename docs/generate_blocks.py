"""The pages of the kinds of block, made from their classes. Called by ``docs/generate.py``."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestrator.block import Block
from orchestrator.kinds import block_kinds
from orchestrator.kinds.block_schemas import in_order

_EXTRA = re.compile(r"""pip install \\?["']?(orchestrator\[[a-z0-9,-]+\])""")

_WING = "orchestrator.blocks"
_BESIDE = re.compile(r"^from \.([a-z0-9_.]+) import", re.MULTILINE)


def kinds(tree: Path) -> Iterator[type[Block]]:
    """The classes of all kinds that lie in the tree, by slug."""
    for path in sorted((tree / "blocks").glob("*.py")):
        if path.stem != "__init__":
            yield block_kinds.find(path.stem.replace("_", "-"))


def entry_points(tree: Path) -> str:
    """The lines of ``setup.cfg`` that make the kinds known where the package is installed."""
    return "".join(f"    {kind._slug} = {block_kinds.import_path(kind)}\n" for kind in kinds(tree))


def navigation(tree: Path) -> str:
    """The lines of ``mkdocs.yml`` that lead to the pages."""
    return "".join(f"          - {kind.type_facts()['name']}: blocks/{kind._slug}.md\n" for kind in kinds(tree))


def catalogue(tree: Path) -> str:
    """The table of all kinds."""
    rows = ["| kind | type | interfaces | what it is |\n| --- | --- | --- | --- |\n"]
    for kind in kinds(tree):
        facts = kind.type_facts()
        interfaces = ", ".join(f"`{name}`" for name in facts["interfaces"])
        what = _prose(facts["description"]) + (" *Untested here.*" if facts["untested"] else "")
        rows.append(f"| [{facts['name']}](blocks/{facts['slug']}.md) | `{facts['slug']}` | {interfaces} | {what} |\n")
    return "".join(rows)


def page(kind: type[Block], head: str) -> str:
    """The page of one kind."""
    facts = kind.type_facts()
    parts = [f"{head}\n\n# {facts['name']}\n\n{_prose(facts['description'])}\n"]
    parts += [f"\n{_prose(text)}\n" for text in _rest_of_docstring(kind)]
    if facts["untested"]:
        parts.append(f'\n!!! warning "Untested here"\n    {facts["untested"]}\n')
    rows = {
        "type": f"`{facts['slug']}`",
        "class": f"`{facts['import_path'].replace(':', '.')}`",
        "interfaces": ", ".join(f"`{name}`" for name in facts["interfaces"]) or "none",
        "icon": _icon(facts["logo"]),
        "to install": ", ".join(f'`pip install "{extra}"`' for extra in extras(kind)) or "nothing more",
    }
    if facts["docs_url"]:
        rows["more"] = f"<{facts['docs_url']}>"
    parts.append("\n| | |\n| --- | --- |\n" + "".join(f"| {name} | {text} |\n" for name, text in rows.items()))
    parts.append(_fields(facts["schema"]))
    parts.append(f"\n## Example\n\n```python\n{facts['code_example'].strip()}\n```\n")
    parts.append(_command(facts))
    return "".join(parts)


def extras(kind: type[Block]) -> list[str]:
    """The extras that the class's file, or one beside it that the file imports, tells people to install."""
    source = inspect.getsource(sys.modules[kind.__module__])
    beside = [sys.modules[f"{_WING}.{name}"] for name in _BESIDE.findall(source) if f"{_WING}.{name}" in sys.modules]
    sources = [source, *(inspect.getsource(module) for module in beside)]
    return list(dict.fromkeys(extra for text in sources for extra in _EXTRA.findall(text)))


def _fields(schema: Mapping[str, Any]) -> str:
    rows = []
    for name, facts in in_order(schema).items():
        default = "needed" if name in schema.get("required", ()) else _default(facts)
        meaning = _cell(_prose(facts.get("description", "")))
        if shown := facts.get("x-shown-when"):
            wanted = " and ".join(f"`{key}` is {_or(values)}" for key, values in shown.items())
            meaning += f" Only where {wanted}."
        secret = " **secret**" if facts.get("writeOnly") else ""
        rows.append(f"| `{name}` | {_cell(_type(facts, schema))}{secret} | {_cell(default)} | {meaning} |\n")
    return "\n## Fields\n\n| field | type | default | meaning |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _type(facts: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "x-block" in facts:
        return "any block" if facts["x-block"] == "*" else f"block: `{facts['x-block']}`"
    if "$ref" in facts:
        inner = schema.get("$defs", {}).get(facts["$ref"].rpartition("/")[2], {})
        return _type(inner, schema) if "enum" in inner else str(inner.get("title", "object"))
    if options := facts.get("anyOf") or facts.get("oneOf") or facts.get("allOf"):
        return " or ".join(dict.fromkeys(_type(item, schema) for item in options if item.get("type") != "null"))
    if "enum" in facts or "const" in facts:
        return _or(facts.get("enum", [facts.get("const")]))
    kind = str(facts.get("type", "anything"))
    if kind == "array" and isinstance(facts.get("items"), dict):
        return f"list of {_type(facts['items'], schema)}"
    names = {"string": "text", "array": "list", "boolean": "true or false", "object": "mapping"}
    return names.get(kind, kind)


def _or(values: list[Any]) -> str:
    return " or ".join(f"`{value}`" for value in values)


def _default(facts: Mapping[str, Any]) -> str:
    value = facts.get("default")
    return "" if value in (None, "", [], {}) else f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _icon(logo: str) -> str:
    return f"`{logo}`" if logo.startswith("tabler:") else f"![logo]({logo})"


def _rest_of_docstring(kind: type[Block]) -> list[str]:
    return inspect.cleandoc(kind.__doc__ or "").split("\n\n")[1:]


def _prose(text: str) -> str:
    """reStructuredText's code marks as those of Markdown; braces stay as they are."""
    return text.replace("``", "`")


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _command(facts: Mapping[str, Any]) -> str:
    schema = facts["schema"]
    needed = [name for name in in_order(schema) if name in schema.get("required", ())]
    words = "".join(f" --set {name}=..." for name in needed if not schema["properties"][name].get("writeOnly"))
    hidden = [name for name in needed if schema["properties"][name].get("writeOnly")]
    asked = f" It asks for {' and '.join(f'`{name}`' for name in hidden)} without an echo." if hidden else ""
    line = f"orchestrator block create {facts['slug']}/main{words}"
    return f"\nOn the command line, or by *Blocks*, *New* in the dashboard:{asked}\n\n```console\n$ {line}\n```\n"
