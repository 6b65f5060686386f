"""Templates of SQL: Jinja decides which statement it is, and every value becomes a bound parameter.

What ``{{ }}`` gives is never part of the text. The tree of the template is changed before it is compiled: each
output goes through :class:`Values`, which keeps the value and writes the name of a parameter. Only what the filter
``identifier`` made is written as it is, and that is a quoted name. So whatever a value holds, it cannot become SQL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.meta import find_undeclared_variables
from jinja2.sandbox import ImmutableSandboxedEnvironment

from orchestrator.documents.template_parts import REFUSED
from orchestrator.errors import InvalidInput

LONGEST = 1_000_000
MOST_VALUES = 10_000
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,127}")
_COLON = re.compile(r"(?<![:\w\\]):(?=\w)")
_BOUND = (str, bytes, bool, int, float, Decimal, datetime, date, time, UUID, type(None))
# Quoted text, quoted names and comments: in none of them is a parameter one.
_QUOTED = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$([A-Za-z_]*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL
)


class Identifier:
    """A quoted name. No text: what is put together from it is a value again."""

    def __init__(self, sql: str) -> None:
        self.sql = sql


class Values:
    """The parameters of one rendering."""

    def __init__(self) -> None:
        self.bound: dict[str, Any] = {}
        self._names: dict[tuple[str, type, Any], str] = {}
        self._used: dict[str, int] = {}

    def write(self, value: Any, hint: str) -> str:
        """What stands in the statement for a value."""
        if isinstance(value, Identifier):
            return value.sql
        if isinstance(value, Undefined):
            str(value)  # raises, naming what is missing
        if isinstance(value, (list, tuple, set, frozenset)):
            if not value:
                raise InvalidInput(f"{hint} is an empty list: ask first, {{% if {hint} %}} ... {{% endif %}}")
            return ", ".join(self.write(item, f"{hint}_{number}") for number, item in enumerate(value, 1))
        if isinstance(value, dict):
            value = json.dumps(value)
        if not isinstance(value, _BOUND):
            raise InvalidInput(
                f"{hint} is a {type(value).__name__}, which cannot be bound: give text, a number, a date"
            )
        return ":" + self._name(value, hint)

    def _name(self, value: Any, hint: str) -> str:
        known = (hint, type(value), value)
        if known not in self._names:
            if len(self.bound) >= MOST_VALUES:
                raise InvalidInput(
                    f"the statement would bind more than {MOST_VALUES} values: load them into a table first"
                )
            self._names[known] = name = self._free(hint)
            self.bound[name] = value
        return self._names[known]

    def _free(self, hint: str) -> str:
        while True:
            self._used[hint] = number = self._used.get(hint, 0) + 1
            name = hint if number == 1 else f"{hint}_{number}"
            if name not in self.bound:
                return name


class _Environment(ImmutableSandboxedEnvironment):
    # A text times a large number fills the memory before it is looked at.
    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator != "%" and all(isinstance(side, (int, float, Decimal)) for side in (left, right)):
            if operator == "*":
                return left * right
        elif operator == "%" and isinstance(left, (int, float, Decimal)):
            return left % right
        raise SecurityError(f"{operator} is for numbers only")


def check(text: str) -> set[str]:
    """The names that a template uses and does not set.

    Raises:
        InvalidInput: It is no template, or uses a part of Jinja that has no place in SQL.
    """
    tree = _parse(text)
    return find_undeclared_variables(tree) - set(_environment().globals)


def render(text: str, values: Mapping[str, Any], quote: Callable[[str], str]) -> tuple[str, dict[str, Any]]:
    """The statement, and the parameters to execute it with.

    Args:
        text: The template.
        values: By name.
        quote: Quotes a name as the database does.

    Raises:
        InvalidInput: The template cannot be rendered with these values.
    """
    template, kept = _compiled(text), Values()
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate({**values, "_values": kept, "_quote": quote}):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                raise InvalidInput(f"the statement is longer than {LONGEST} characters")
    except InvalidInput:
        raise
    except TemplateError as error:
        raise InvalidInput(f"the template: {error.message}") from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"the template: {type(error).__name__}: {error}") from None
    statement = "".join(pieces).strip()
    _refuse_quoted(statement, kept.bound)
    return statement, kept.bound


def quote_name(value: Any, quote: Callable[[str], str]) -> Identifier:
    """The quoted form of ``name`` or ``schema.name``; letters, digits, ``_`` and ``$`` only."""
    if isinstance(value, Identifier):
        return value
    parts = value.split(".") if isinstance(value, str) else []
    if not 1 <= len(parts) <= 3 or not all(_IDENTIFIER.fullmatch(part) for part in parts):
        raise InvalidInput(f"{value!r:.80} is no name of a table or column: write letters, digits, _ and $")
    return Identifier(".".join(quote(part) for part in parts))


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, autoescape=False)
    made.globals = {"range": made.globals["range"]}
    made.filters = {**made.filters, "_bind": _bind, "identifier": _identifier}
    for unsafe in ("safe", "forceescape", "escape", "e", "xmlattr", "pprint", "indent", "center", "wordwrap"):
        made.filters.pop(unsafe, None)
    return made


@lru_cache(maxsize=64)
def _compiled(text: str) -> Any:
    environment = _environment()
    return environment.from_string(_parse(text))


def _parse(text: str) -> nodes.Template:
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise InvalidInput(f"the template, line {error.lineno}: {error.message}") from None
    for node in tree.find_all(tuple(REFUSED)):
        raise InvalidInput(
            f"the template, line {node.lineno}: {{% {REFUSED[type(node)]} %}} has no place in SQL; use if, for and set"
        )
    names: list[nodes.Name | nodes.NSRef] = [*tree.find_all(nodes.Name), *tree.find_all(nodes.NSRef)]
    for name in names:
        if name.name.startswith("_") or name.name == "self":
            raise InvalidInput(f"the template, line {name.lineno}: {name.name} cannot be used, nor what starts with _")
    for filter_ in tree.find_all(nodes.Filter):
        if filter_.name.startswith("_") or filter_.name not in _environment().filters:
            raise InvalidInput(f"the template, line {filter_.lineno}: there is no filter {filter_.name}")
    for output in [*tree.find_all(nodes.Output)]:
        output.nodes = [_bound(node) for node in output.nodes]
    return tree


def _bound(node: nodes.Expr) -> nodes.Expr:
    if isinstance(node, nodes.TemplateData):
        # What stands in the template itself is SQL: a colon in it names no parameter.
        return nodes.TemplateData(_COLON.sub(r"\\:", node.data), lineno=node.lineno)
    hint = nodes.Const(_hint(node), lineno=node.lineno)
    return nodes.Filter(node, "_bind", [hint], [], None, None, lineno=node.lineno)


def _hint(node: nodes.Node) -> str:
    """A name for the parameter that tells people where its value came from."""
    found = next(iter([node] if isinstance(node, nodes.Name) else node.find_all(nodes.Name)), None)
    name = found.name if isinstance(found, nodes.Name) else "value"
    return name if _IDENTIFIER.fullmatch(name) else "value"


@pass_context
def _bind(context: Any, value: Any, hint: str) -> str:
    kept: Values = context["_values"]
    return kept.write(value, hint)


@pass_context
def _identifier(context: Any, value: Any) -> Identifier:
    return quote_name(value, context["_quote"])


def _refuse_quoted(statement: str, bound: Mapping[str, Any]) -> None:
    for quoted in _QUOTED.finditer(statement):
        for name in re.findall(r"(?<![:\w\\]):(\w+)", quoted[0]):
            if name in bound and not quoted[0].startswith(("--", "/*")):
                raise InvalidInput(f"{{{{ {name} }}}} stands inside quotes: leave them out, for values are bound")
            if name in bound:
                raise InvalidInput(f"{{{{ {name} }}}} stands inside a comment: take it out")
