"""Whether labels are what a selector asks for. Everything that picks resources or events by their labels uses this.

A selector names labels and, for each, one pattern or a list of them: ``{"resource.id": "orders.*", "env": ["prod",
"stage"]}``. All the labels that it names have to be met. A label is met when its value is like one of the patterns,
and like none of those that begin with ``!``; where all begin with ``!``, any other value will do. A label that is
missing is like no pattern: ``!x`` is met then, ``x`` and ``*`` are not, and ``!*`` asks that it is missing.

In a pattern ``*`` stands for any characters, also none; everything else for itself, capitals and all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

#: A selector as it is written: label -> a pattern, or several.
Selector = Mapping[str, "str | Sequence[str]"]

NEGATION = "!"
WILDCARD = "*"


def matches(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Whether labels meet a selector; an empty one is met by all."""
    return all(meets(patterns, labels.get(name)) for name, patterns in selector.items())


def meets(patterns: str | Sequence[str], value: str | None) -> bool:
    """Whether the value of one label (None: it is missing) is what its patterns ask for."""
    wanted = False
    found = False
    for pattern in listed(patterns):
        if pattern.startswith(NEGATION):
            if like(pattern[1:], value):
                return False
        else:
            wanted = True
            found = found or like(pattern, value)
    return found or not wanted


def matches_related(selectors: Iterable[Selector], related: Sequence[Mapping[str, str]]) -> bool:
    """Whether each selector is met by some related resource; one may meet several of them."""
    return all(any(matches(selector, labels) for labels in related) for selector in selectors)


def like(pattern: str, value: str | None) -> bool:
    """Whether a value is like one pattern, which is not negated."""
    if value is None:
        return False
    if WILDCARD not in pattern:
        return pattern == value
    return _like(_parts(pattern), value)


def listed(patterns: str | Sequence[str]) -> Sequence[str]:
    """Patterns as a list, however they were written."""
    return (patterns,) if isinstance(patterns, str) else patterns


def positive(patterns: str | Sequence[str]) -> list[str]:
    """Those of the patterns that are not negated."""
    return [pattern for pattern in listed(patterns) if not pattern.startswith(NEGATION)]


def is_exact(pattern: str) -> bool:
    """Whether a pattern is like a single value only."""
    return WILDCARD not in pattern and not pattern.startswith(NEGATION)


@lru_cache(maxsize=65536)
def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.split(WILDCARD))


def _like(parts: tuple[str, ...], value: str) -> bool:
    """Each part is looked for where the one before ends: no pattern makes that slow."""
    first, last = parts[0], parts[-1]
    if len(value) < len(first) + len(last) or not value.startswith(first) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for part in parts[1:-1]:
        found = value.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def selector_text(selector: Selector) -> str:
    """A selector in one line: ids by themselves, other labels as ``name=pattern``; several patterns by ``|``."""
    parts = []
    for name, patterns in selector.items():
        told = "|".join(listed(patterns))
        parts.append(told if name == "resource.id" else f"{name}={told}")
    return ", ".join(parts)
