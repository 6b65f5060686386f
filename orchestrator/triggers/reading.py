"""Reading documents from outside: every problem is noted with its place, then all are refused together."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from ..clock import duration
from ..errors import InvalidInput
from .seen import span

T = TypeVar("T")

TEXT_MAX = 1024
PATTERNS_MAX, LABELS_MAX = 100, 20
#: Longest time that anything may look back or wait, in seconds.
LONGEST_S = 366 * 86400.0


class Reader:
    """Takes documents apart, and remembers what is wrong with them."""

    def __init__(self) -> None:
        self.errors: dict[str, list[str]] = {}

    def wrong(self, place: str, problem: str) -> None:
        """Note a problem."""
        self.errors.setdefault(place, []).append(problem)

    def finish(self, what: str) -> None:
        """Raises InvalidInput when there was any problem."""
        if self.errors:
            place, problems = next(iter(self.errors.items()))
            raise InvalidInput(f"{place or what}: {problems[0]}", self.errors)

    def mapping(self, value: Any, place: str, known: Iterable[str]) -> Mapping[str, Any]:
        """A mapping with known keys only; what is null counts as left out."""
        if not isinstance(value, Mapping):
            self.wrong(place, f"Must be a mapping of keys to values, not {_shown(value)}.")
            return {}
        known = list(known)
        for key in value:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."
                self.wrong(join(place, str(key)), f"Is not known here; {hint}")
        return {key: item for key, item in value.items() if key in known and item is not None}

    def text(self, value: Any, place: str, longest: int = TEXT_MAX, shortest: int = 0) -> str:
        """A text."""
        if not isinstance(value, str):
            self.wrong(place, f"Must be a text, not {_shown(value)}; put it in quotes.")
        elif not shortest <= len(value) <= longest:
            self.wrong(place, f"Must have {shortest} to {longest} characters.")
        elif any(ord(character) < 32 and character not in "\n\t" for character in value):
            self.wrong(place, "Must not contain control characters.")
        else:
            return value
        return ""

    def flag(self, value: Any, place: str) -> bool:
        """True or false."""
        if not isinstance(value, bool):
            self.wrong(place, f"Must be true or false, not {_shown(value)}.")
        return value is True

    def whole(self, value: Any, place: str, least: int, most: int) -> int:
        """A whole number."""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.wrong(place, f"Must be a whole number from {least} to {most}, not {_shown(value)}.")
            return least
        return value

    def number(self, value: Any, place: str) -> float:
        """Any finite number."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            self.wrong(place, f"Must be a number, not {_shown(value)}.")
            return 0.0
        return float(value)

    def seconds(self, value: Any, place: str, least: float = 0.0) -> float:
        """A duration, in seconds."""
        try:
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError
            found = duration(value).total_seconds()
        except (ValueError, OverflowError):
            self.wrong(place, f"Must be seconds, or for example 90s, 5m, 1h30m, 2d, not {_shown(value)}.")
            return least
        if not least <= found <= LONGEST_S:
            self.wrong(place, f"Must be {least:g} s to {LONGEST_S / 86400:g} d, not {_shown(value)}.")
            return least
        return found

    def span(self, value: Any, place: str, least: float = 0.0) -> int:
        """A duration, in microseconds."""
        return span(self.seconds(value, place, least))

    def several(self, value: Any, place: str, read: Callable[[Any, str], T], least: int, most: int) -> list[T]:
        """A list."""
        if not isinstance(value, (list, tuple)):
            self.wrong(place, f"Must be a list, not {_shown(value)}.")
            return []
        if not least <= len(value) <= most:
            self.wrong(place, f"Must have {least} to {most} entries, not {len(value)}.")
            return []
        return [read(item, join(place, str(index))) for index, item in enumerate(value)]

    def patterns(self, value: Any, place: str) -> tuple[str, ...]:
        """A pattern, or a list of them."""
        if isinstance(value, str):
            return (self.text(value, place),)
        return tuple(self.several(value, place, self.text, 1, PATTERNS_MAX))

    def selector(self, value: Any, place: str) -> dict[str, tuple[str, ...]]:
        """Labels, each with its patterns."""
        if not isinstance(value, Mapping):
            self.wrong(place, f"Must be a mapping of labels to patterns, not {_shown(value)}.")
            return {}
        if not 1 <= len(value) <= LABELS_MAX:
            self.wrong(place, f"Must name 1 to {LABELS_MAX} labels, not {len(value)}.")
            return {}
        return {
            self.text(label, join(place, str(label)), shortest=1): self.patterns(patterns, join(place, str(label)))
            for label, patterns in value.items()
        }


def join(place: str, key: str) -> str:
    """The place of something within something."""
    return f"{place}.{key}" if place else key


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
