"""Templates in deployments: ``{{ blocks.secret.api-key }}``, ``{{ variables.region }}``, ``{{ env.HOME }}``.

Parameters, overrides of infrastructure and the path of storage may hold them. They are looked up when a run starts,
where it starts, and what they stand for is never stored. A text that is nothing but one template takes the value's own
type; within a longer text the value is written as text.

There is no more to the language than names: no arithmetic, no filters, no calls. Text between double braces that begins
with any other name, such as SQL that some flow renders by itself, is left as it is.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import InvalidInput

#: What a template may begin with.
ROOTS = ("blocks", "variables", "env")
#: Longest template that is read, in characters.
LONGEST = 1000
_BRACES = re.compile(r"\{\{([^{}]*)\}\}")
_HEAD = re.compile(r"\s*([A-Za-z_]\w*)")
_STEP = re.compile(r"""\s*(?:\.\s*([A-Za-z0-9_][A-Za-z0-9_-]*)|\[\s*(?:"([^"]*)"|'([^']*)'|(-?\d+))\s*\])""")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Name:
    """What one template stands for: ``root``, and the names and indexes behind it."""

    root: str
    steps: tuple[str | int, ...]
    #: As it was written, between the braces.
    text: str

    @property
    def block(self) -> str:
        """``type/name`` of the block that it names."""
        return f"{self.steps[0]}/{self.steps[1]}"


class Lookup(Protocol):
    """Gives what names stand for. Each raises an OrchestratorError where there is no such thing."""

    def block(self, ref: str, field: str | None) -> Any:
        """The value of a block's field, secrets in clear; without a field that of a block which is a plain value."""

    def variable(self, name: str) -> Any:
        """The value of a variable."""

    def env(self, name: str) -> str:
        """The value of an environment variable."""


def holds_template(value: Any) -> bool:
    """Whether there is a template anywhere in a value; one that is written wrong counts."""
    return next(_texts(value, ""), None) is not None


def names_in(value: Any, place: str) -> list[tuple[str, Name]]:
    """All templates in a value, each with its place, such as ``parameters.rows[0].token``.

    Raises:
        InvalidInput: One is written wrong; the message and ``errors`` name its place.
    """
    found = []
    for where, match in _texts(value, place):
        try:
            found.append((where, _parse(match[1])))
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {error}", {where: [str(error)]}) from None
    return found


def resolve(value: Any, lookup: Lookup, place: str) -> Any:
    """The value with what its templates stand for in their place.

    Args:
        place: What the whole value is called in errors, such as ``parameters``.

    Raises:
        InvalidInput: A template is written wrong, or there is no such thing.
    """
    if isinstance(value, str):
        return _resolve_text(value, lookup, place)
    if isinstance(value, Mapping):
        return {key: resolve(item, lookup, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, lookup, f"{place}[{index}]") for index, item in enumerate(value)]
    return value


def without_templates(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values that hold no template: those that can be checked before a run starts."""
    return {name: value for name, value in values.items() if not holds_template(value)}


def _texts(value: Any, place: str) -> Iterator[tuple[str, re.Match[str]]]:
    if isinstance(value, str):
        yield from ((place, match) for match in _BRACES.finditer(value) if _is_ours(match[1]))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, f"{place}[{index}]")


def _is_ours(text: str) -> bool:
    head = _HEAD.match(text)
    if head is None or head[1] in ROOTS:
        return head is not None
    return bool(_meant(head[1])) and text[head.end() :].lstrip()[:1] in (".", "[")


def _meant(root: str) -> list[str]:
    return difflib.get_close_matches(root, ROOTS, n=1, cutoff=0.8)


def _parse(text: str) -> Name:
    shown = "{{" + text + "}}"
    if len(text) > LONGEST:
        raise InvalidInput(f"a template is longer than {LONGEST} characters")
    head = _HEAD.match(text)
    if head is None or head[1] not in ROOTS:
        near = _meant(head[1] if head else "")
        hint = f"; did you mean {near[0]}?" if near else ""
        raise InvalidInput(f"{shown} begins with none of {', '.join(ROOTS)}{hint}")
    steps: list[str | int] = []
    position = head.end()
    while (step := _STEP.match(text, position)) is not None:
        word = next((part for part in step.groups()[:3] if part is not None), None)
        steps.append(int(step[4]) if word is None else word)
        position = step.end()
    if text[position:].strip():
        raise InvalidInput(
            f"{shown} is no dotted name: after {text[:position].strip()!r} comes {text[position:].strip()!r}; "
            'a name with other characters is written ["like this"]'
        )
    return _checked(Name(head[1], tuple(steps), text.strip()), shown)


def _checked(name: Name, shown: str) -> Name:
    steps = name.steps
    if name.root == "blocks" and (len(steps) < 2 or not all(isinstance(step, str) and step for step in steps[:2])):
        raise InvalidInput(
            f"{shown} names no block: write {{{{ blocks.TYPE.NAME }}}} or {{{{ blocks.TYPE.NAME.FIELD }}}}"
        )
    if name.root == "variables" and (not steps or not isinstance(steps[0], str) or not steps[0]):
        raise InvalidInput(f"{shown} names no variable: write {{{{ variables.NAME }}}}")
    if name.root == "env" and not (len(steps) == 1 and isinstance(steps[0], str) and _ENV.fullmatch(steps[0])):
        raise InvalidInput(f"{shown} names no environment variable: write {{{{ env.NAME }}}}")
    return name


def _resolve_text(text: str, lookup: Lookup, place: str) -> Any:
    whole = _BRACES.fullmatch(text.strip())
    if whole is not None:
        return _value(whole[1], lookup, place) if _is_ours(whole[1]) else text

    def written(match: re.Match[str]) -> str:
        return _as_text(_value(match[1], lookup, place)) if _is_ours(match[1]) else match[0]

    return _BRACES.sub(written, text)


def _value(text: str, lookup: Lookup, place: str) -> Any:
    try:
        name = _parse(text)
        return _look_up(name, lookup)
    except InvalidInput as error:
        raise InvalidInput(f"{place}: {error}", {place: [str(error)]}) from None


def _look_up(name: Name, lookup: Lookup) -> Any:
    first = str(name.steps[0])
    ways: dict[str, Callable[[], tuple[Any, tuple[str | int, ...]]]] = {
        "blocks": lambda: (
            lookup.block(name.block, str(name.steps[2]) if len(name.steps) > 2 else None),
            name.steps[3:],
        ),
        "variables": lambda: (lookup.variable(first), name.steps[1:]),
        "env": lambda: (lookup.env(first), ()),
    }
    value, rest = ways[name.root]()
    for step in rest:
        value = _within(value, step, name)
    return value


def _within(value: Any, step: str | int, name: Name) -> Any:
    if isinstance(value, Mapping) and str(step) in value:
        return value[str(step)]
    if isinstance(value, list) and str(step).lstrip("-").isdigit() and -len(value) <= int(step) < len(value):
        return value[int(step)]
    raise InvalidInput(f"{{{{ {name.text} }}}}: there is no {step} in it")


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
