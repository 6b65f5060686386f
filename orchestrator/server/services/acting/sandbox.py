"""A sandbox for Jinja templates that people write and the server renders.

What a template sees is plain data: texts, numbers, lists, mappings. There is nothing to call but ``range`` and the
filters below; a dot reads a key of a mapping, and never an attribute of an object. What a template may use up is
bounded as well: how often its loops go round, and how long texts and lists become. A text that is nothing but one
``{{ }}`` takes the value's own type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.filters import do_join
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ....documents.template_parts import REFUSED
from ....errors import InvalidInput

#: Longest template, and longest text that is made, in characters.
LONGEST_TEMPLATE, LONGEST = 100_000, 1_000_000
#: Turns of all loops of a template together, and values in one value that it makes.
MOST_TURNS, MOST_VALUES = 10_000, 10_000
#: Digits of a number, in bits.
_NUMBER_BITS = 4096
_MARKS = ("{{", "{%", "{#")
_LOOP = ("index", "index0", "revindex", "revindex0", "first", "last", "length", "depth", "depth0")
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "groupby", "int", "items", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "select", "selectattr",
    "sort", "string", "sum", "title", "trim", "truncate", "unique", "upper", "urlencode", "wordcount",
)  # fmt: skip


def holds_template(value: Any) -> bool:
    """Whether a text is a template; or any text in a mapping or list is."""
    if isinstance(value, str):
        return any(mark in value for mark in _MARKS)
    if isinstance(value, Mapping):
        return any(holds_template(item) for item in value.values())
    return isinstance(value, list) and any(holds_template(item) for item in value)


def problems(value: Any, known: Iterable[str], place: str) -> dict[str, list[str]]:
    """What is wrong with the templates in a value, by place: ``then.0.parameters.day``.

    Args:
        known: The names that there will be.
    """
    found: dict[str, list[str]] = {}
    names = set(known)
    for where, text in _texts(value, place):
        try:
            unknown = sorted(names_in(text) - names)
        except InvalidInput as error:
            found[where] = [f"{error}."]
            continue
        if unknown:
            found[where] = [f"There is no {unknown[0]}; templates know {', '.join(sorted(names))}."]
    return found


def names_in(value: Any) -> set[str]:
    """The names that the templates in a value use and do not set. Raises InvalidInput for what is no template."""
    if isinstance(value, str):
        return set(_names(value)) if holds_template(value) else set()
    return {name for _, text in _texts(value, "") for name in names_in(text)}


@lru_cache(maxsize=256)
def _names(text: str) -> frozenset[str]:
    return frozenset(find_undeclared_variables(_parse(text)) - set(_environment().globals))


def render(value: Any, known: Mapping[str, Any], place: str) -> Any:
    """The value with its templates filled in, mappings and lists through and through.

    Args:
        known: What templates see: plain data.
        place: What the value is called in errors.

    Raises:
        InvalidInput: A template cannot be rendered; the message and ``errors`` name its place.
    """
    if isinstance(value, str):
        if not holds_template(value):
            return value
        try:
            return _render(value, known)
        except InvalidInput as error:
            raise InvalidInput(f"{place}: {error}", {place: [f"{error}."]}) from None
    if isinstance(value, Mapping):
        return {key: render(item, known, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [render(item, known, f"{place}.{index}") for index, item in enumerate(value)]
    return value


class _Tally:
    """What one rendering has used up, and the value that it keeps."""

    def __init__(self) -> None:
        self.turns = 0
        self.kept: Any = None

    def turn(self) -> None:
        self.turns += 1
        if self.turns > MOST_TURNS:
            raise SecurityError(f"its loops go round more than {MOST_TURNS:,} times")


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a mapping, or a fact about a loop."""
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """A key of a mapping, an item or a slice of a list or text."""
        if isinstance(obj, Mapping):
            if isinstance(argument, str) and argument in obj:
                return obj[argument]
        elif isinstance(obj, (list, tuple, str)) and isinstance(argument, (int, slice)):
            try:
                return obj[argument]
            except (IndexError, ValueError, TypeError):
                pass
        elif isinstance(obj, Undefined):
            str(obj)  # raises, naming what is missing
        what = "nothing" if obj is None else f"a {_kind(obj)}"
        return self.undefined(f"there is no {argument!r:.80}: it is {what}{_keys(obj)}", name=str(argument))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if __obj is not _range:
            raise SecurityError("only range can be called: use filters")
        return _range(*args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        numbers = all(isinstance(side, (int, float)) for side in (left, right))
        if operator == "+" and not numbers:
            return _together(left, right)
        if not numbers or operator == "**":
            raise SecurityError(f"{operator} is not for these values")
        if sum(side.bit_length() for side in (left, right) if isinstance(side, int)) > _NUMBER_BITS:
            raise SecurityError("a number becomes too large")
        return (
            {"+": left.__add__, "*": left.__mul__, "%": left.__mod__}[operator](right)
            if type(left) is type(right)
            else _mixed(operator, float(left), float(right))
        )


def _mixed(operator: str, left: float, right: float) -> float:
    return left + right if operator == "+" else left * right if operator == "*" else left % right


def _together(left: Any, right: Any) -> Any:
    for side in (left, right):
        if isinstance(side, Undefined):
            str(side)
    if isinstance(left, str) and isinstance(right, str):
        return _short(left + right) if len(left) + len(right) <= LONGEST else _too_long()
    if isinstance(left, list) and isinstance(right, list) and len(left) + len(right) <= MOST_VALUES:
        return left + right
    raise SecurityError("+ is for two numbers, two texts or two lists: ~ joins anything as text")


@lru_cache(maxsize=1)
def _environment() -> _Environment:
    made = _Environment(undefined=StrictUndefined, autoescape=False)
    made.globals = {"range": _range}
    known = made.filters
    made.filters = {
        **{name: known[name] for name in _FILTERS},
        "join": _join, "replace": _replace, "tojson": _tojson, "url": _url,
        "_written": _written, "_keep": _keep, "_counted": _counted, "_joined": _joined,
    }  # fmt: skip
    return made


@lru_cache(maxsize=256)
def _compiled(text: str) -> tuple[Any, bool]:
    """A template, and whether it is one value as a whole."""
    tree = _parse(text)
    whole = _whole(tree)
    for node in tree.find_all(nodes.For):
        node.iter = _filtered(node.iter, "_counted")
    for output in [*tree.find_all(nodes.Output)]:
        output.nodes = [
            node if isinstance(node, nodes.TemplateData) else _filtered(node, "_keep" if whole else "_written")
            for node in output.nodes
        ]
    for parent in reversed([*tree.find_all(nodes.Node)]):  # inner ones first
        for name, child in [*parent.iter_fields()]:
            setattr(parent, name, _without_concat(child))
    return _environment().from_string(tree), whole


def _without_concat(child: Any) -> Any:
    if isinstance(child, list):
        return [_without_concat(item) for item in child]
    if isinstance(child, nodes.Concat):
        return _filtered(nodes.List([*child.nodes], lineno=child.lineno), "_joined")
    return child


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _whole(tree: nodes.Template) -> bool:
    if len(tree.body) != 1 or not isinstance(tree.body[0], nodes.Output):
        return False
    parts = tree.body[0].nodes
    shown = [part for part in parts if not (isinstance(part, nodes.TemplateData) and not part.data.strip())]
    return len(shown) == 1 and not isinstance(shown[0], nodes.TemplateData)


def _render(text: str, known: Mapping[str, Any]) -> Any:
    template, whole = _compiled(text)
    tally = _Tally()
    pieces: list[str] = []
    length = 0
    try:
        for piece in template.generate({**known, "_tally": tally}):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST:
                _too_long()
    except TemplateError as error:
        raise InvalidInput(f"the template: {error.message}") from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        raise InvalidInput(f"the template: {error or type(error).__name__}") from None
    return tally.kept if whole else "".join(pieces)


def _parse(text: str) -> nodes.Template:
    if len(text) > LONGEST_TEMPLATE:
        raise InvalidInput(f"the template is longer than {LONGEST_TEMPLATE:,} characters")
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise InvalidInput(f"the template, line {error.lineno}: {error.message}") from None
    except RecursionError:
        raise InvalidInput("the template is nested too deeply") from None
    for node in tree.find_all(tuple(REFUSED)):
        raise _no_place(node, f"{{% {REFUSED[type(node)]} %}} cannot be used; use if, for and set")
    for call in tree.find_all(nodes.Call):
        if not (isinstance(call.node, nodes.Name) and call.node.name == "range"):
            raise _no_place(call, "only range() can be called; use filters, as in {{ name | upper }}")
    for loop in tree.find_all(nodes.For):
        if loop.recursive:
            raise _no_place(loop, "loops cannot be recursive")
    names: list[nodes.Name | nodes.NSRef] = [*tree.find_all(nodes.Name), *tree.find_all(nodes.NSRef)]
    for name in names:
        if name.name.startswith("_") or name.name in ("self", "namespace"):
            raise _no_place(name, f"{name.name} cannot be used")
    for kind, there in ((nodes.Filter, _environment().filters), (nodes.Test, _environment().tests)):
        for item in tree.find_all(kind):
            if item.name.startswith("_") or item.name not in there:
                raise _no_place(item, f"there is no {kind.__name__.lower()} {item.name}")
    return tree


def _no_place(node: nodes.Node, problem: str) -> InvalidInput:
    return InvalidInput(f"the template, line {node.lineno}: {problem}")


def _texts(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if holds_template(value):
            yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}.{index}" if place else str(index))


def _plain(value: Any, left: list[int] | None = None) -> Any:
    """A value as JSON has it; what filters give bit by bit becomes a list."""
    left = [MOST_VALUES] if left is None else left
    left[0] -= 1
    if left[0] < 0:
        raise SecurityError(f"a value holds more than {MOST_VALUES:,} values")
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is missing
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return _short(str(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item, left) for key, item in value.items()}
    if isinstance(value, Iterable):
        return [_plain(item, left) for item in value]
    raise SecurityError(f"a {type(value).__name__} cannot be given")


def _as_text(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return json.dumps(plain, ensure_ascii=False) if isinstance(plain, (dict, list)) else str(plain)


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else _too_long()


def _too_long() -> Any:
    raise SecurityError(f"a text becomes longer than {LONGEST:,} characters")


def _kind(value: Any) -> str:
    names = {dict: "mapping", list: "list", tuple: "list", str: "text", bool: "truth value", int: "number"}
    return names.get(type(value), "number" if isinstance(value, float) else type(value).__name__)


def _keys(value: Any) -> str:
    if not isinstance(value, Mapping):
        return ""
    shown = ", ".join(str(key) for key in islice(value, 12))
    return f" with {shown}{', ...' if len(value) > 12 else ''}" if shown else " with nothing in it"


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > MOST_TURNS:
        raise SecurityError(f"a range has at most {MOST_TURNS:,} numbers")
    return found


@pass_context
def _counted(context: Any, value: Any) -> Iterator[Any]:
    if isinstance(value, Undefined):
        str(value)
    return _each(value, context["_tally"].turn)


def _each(values: Iterable[Any], turn: Callable[[], None]) -> Iterator[Any]:
    for value in values:
        turn()
        yield value


@pass_context
def _keep(context: Any, value: Any) -> str:
    context["_tally"].kept = _plain(value)
    return ""


@pass_context
def _written(_context: Any, value: Any) -> str:
    return _as_text(value)


@pass_context
def _joined(_context: Any, values: Iterable[Any]) -> str:
    return _short("".join(_as_text(value) for value in values))


@pass_context
def _join(context: Any, value: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        return _short(str(do_join(context.eval_ctx, _plain(list(value)), str(d), attribute)))
    texts = [_as_text(item) for item in _plain(value)]
    if sum(map(len, texts)) + len(str(d)) * len(texts) > LONGEST:
        _too_long()
    return str(d).join(texts)


def _replace(value: Any, old: str, new: str, count: int = -1) -> str:
    text, times = _as_text(value), 0
    times = text.count(old) if old else len(text) + 1
    if len(text) + times * len(new) > LONGEST:
        _too_long()
    return text.replace(old, new, count)


def _tojson(value: Any, indent: int | None = None) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, indent=min(indent, 8) if indent else None)


def _url(value: Any) -> str:
    """The address of the page of one of our own things; of any other text its form within an address."""
    if isinstance(value, Undefined):
        str(value)
    if isinstance(value, Mapping):
        if not isinstance(value.get("url"), str):
            raise SecurityError("url: it has no page of its own")
        return str(value["url"])
    return quote(_as_text(value), safe="")
