"""Masking: values of secrets are replaced by ``********`` in all that a run tells.

Whoever loads a block says which of its values are secret (:meth:`Masks.add`), before anybody can use them. From then on
they are masked in reports of this process (logs, messages and details of states, events, artifacts, parameters of
subflows); results are data and stay as they are. In a run's process under an agent :attr:`Masks.told` hands them to its
supervisor, which masks what the process and its children write to stdout and stderr.

Values shorter than :data:`SHORTEST` cannot be masked sensibly, since such texts occur everywhere.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote, quote_plus

#: What stands for a secret in everything that is shown.
MASK = "********"
#: Characters that a value must have to be masked.
SHORTEST = 4

#: By the kind of a report, its keys in which a value may turn up.
_PLACES: dict[str, tuple[str, ...]] = {
    "log": ("message",),
    "flow-run": ("name", "parameters", "tags", "state"),
    "flow-run-state": ("state",),
    "task-run": ("name", "tags", "state"),
    "event": ("event",),
    "artifact": ("description", "data"),
    "end": ("state",),
}
#: By the name of a place, the keys in it that are words of ours.
_KEPT = {"state": frozenset({"type", "name", "at"}), "event": frozenset({"id", "event", "occurred", "follows"})}


class Masks:
    """A set of values to mask. May be used from many threads."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self._pattern: re.Pattern[str] | None = None
        self._lock = threading.Lock()
        #: Called with the values that are new, before :meth:`add` returns.
        self.told: Callable[[list[str]], None] | None = None

    def add(self, values: Iterable[Any]) -> None:
        """Mask these from now on: texts, numbers, and whatever is in lists and dicts; in the forms that they take in
        JSON, in addresses, in base64, and line by line.
        """
        wanted = [form for value in values for form in _forms(value)]
        with self._lock:
            fresh = [form for form in dict.fromkeys(wanted) if form not in self._values]
            if not fresh:
                return
            self._values.update(dict.fromkeys(fresh))
            # The longest first: one that begins another one must not leave the rest of it.
            ordered = sorted(self._values, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, ordered)))
        if self.told is not None:
            self.told(fresh)

    def forget(self) -> None:
        """Mask nothing any more."""
        with self._lock:
            self._values, self._pattern, self.told = {}, None, None

    @property
    def values(self) -> list[str]:
        """All that is masked."""
        return list(self._values)

    def text(self, text: str) -> str:
        """The text, masked."""
        return text if self._pattern is None else self._pattern.sub(MASK, text)

    def hides(self, data: bytes) -> bool:
        """Whether there is something to mask in this JSON."""
        return self._pattern is not None and self._pattern.search(data.decode("utf-8", "replace")) is not None

    def value(self, value: Any) -> Any:
        """A JSON value, masked through and through."""
        return value if self._pattern is None else self._walk(value)

    def uncut(self, text: str) -> str:
        """A text that was cut off, without the part of a value that may stand at its end."""
        longest = max(map(len, self._values), default=0)
        for size in range(min(longest - 1, len(text)), SHORTEST - 1, -1):
            end = text[-size:]
            if any(value.startswith(end) and len(value) > size for value in self._values):
                return text[:-size] + MASK
        return text

    def item(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """A report, masked where values may turn up in it."""
        places = _PLACES.get(str(item.get("kind"))) if self._pattern is not None else None
        if not places:
            return item
        return {**item, **{key: self._place(key, item[key]) for key in places if item.get(key) is not None}}

    def _place(self, key: str, value: Any) -> Any:
        kept = _KEPT.get(key)
        if kept is None or not isinstance(value, Mapping):
            return self._walk(value)
        return {name: inner if name in kept else self._walk(inner) for name, inner in value.items()}

    def _walk(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if depth > 50 or value is None or isinstance(value, (bool, float)):
            return value
        if isinstance(value, int):
            return MASK if str(value) in self._values else value
        if isinstance(value, Mapping):
            return {self._walk(key, depth + 1): self._walk(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self._walk(inner, depth + 1) for inner in value]
        return value

    def _after_fork(self) -> None:
        self._lock = threading.Lock()


#: Those of this process.
here = Masks()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=here._after_fork)


def secrets_in(document: Mapping[str, Any]) -> list[Any]:
    """The secret values of a loaded block document, those of the blocks in it included."""
    found = (_reach(document.get("data"), str(place)) for place in document.get("secrets") or ())
    return [value for value in found if value is not None]


def _reach(value: Any, place: str) -> Any:
    for part in place.split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, Sequence) and not isinstance(value, str) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _forms(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for inner in value:
            yield from _forms(inner)
        return
    if value is None or isinstance(value, bool):
        return
    text = value if isinstance(value, str) else str(value)
    for form in _written(text):
        if len(form.strip()) >= SHORTEST:
            yield form


def _written(text: str) -> Iterator[str]:
    yield text
    yield text.strip()
    for line in text.splitlines():
        yield line.strip()
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    encoded = text.encode("utf-8", "replace")
    yield from (quote(encoded, safe=""), quote(encoded), quote_plus(encoded))
    if len(text) >= 2 * SHORTEST:
        yield base64.b64encode(encoded).decode().rstrip("=")
