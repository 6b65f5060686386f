"""Which triggers an event may concern, found without looking at the others.

A trigger is filed under the names that it expects (whole ones, or what stands before the first ``*``), and there under
the resource ids that it names, of the event's resource or else of a related one. An event is looked up by its name, by
the beginnings of its name that anything is filed under, and by the ids that it carries: what is filed elsewhere costs
it nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .conditions import Absence, Condition, Filter, Happening, leaves, name_patterns
from .matching import WILDCARD, is_exact, positive
from .seen import Seen

T = TypeVar("T", bound=Hashable)
#: A trigger that names more ids than this is filed under none of them.
IDS_MAX = 200
_ID = "resource.id"


@dataclass
class _Drawer(Generic[T]):
    """What is filed under one name: by the id of the resource, by that of a related one, or by neither."""

    own: dict[str, dict[T, None]] = field(default_factory=dict)
    related: dict[str, dict[T, None]] = field(default_factory=dict)
    others: dict[T, None] = field(default_factory=dict)

    def file(self, item: T, kind: str, ids: Iterable[str]) -> None:
        if not kind:
            self.others[item] = None
            return
        drawers = self.own if kind == "own" else self.related
        for identifier in ids:
            drawers.setdefault(identifier, {})[item] = None

    def of(self, event: Seen) -> Iterator[T]:
        yield from self.others
        if self.own:
            yield from self.own.get(event.resource.get(_ID, ""), ())
        if self.related:
            for labels in event.related:
                yield from self.related.get(labels.get(_ID, ""), ())


class Index(Generic[T]):
    """Things by the events that may concern them."""

    def __init__(self) -> None:
        self._names: dict[str, _Drawer[T]] = {}
        self._beginnings: dict[str, _Drawer[T]] = {}
        self._lengths: list[int] = []

    @classmethod
    def of(cls, items: Iterable[tuple[T, Condition]]) -> Index[T]:
        """File each thing by its condition."""
        made = cls()
        for item, condition in items:
            made._add(item, condition)
        made._lengths = sorted({len(name) for name in made._beginnings})
        return made

    def candidates(self, event: Seen) -> list[T]:
        """What an event may concern; each once, in no special order."""
        found: dict[T, None] = {}
        drawer = self._names.get(event.name)
        if drawer is not None:
            found.update(dict.fromkeys(drawer.of(event)))
        for length in self._lengths:
            if length > len(event.name):
                break
            drawer = self._beginnings.get(event.name[:length])
            if drawer is not None:
                found.update(dict.fromkeys(drawer.of(event)))
        return [*found]

    def _add(self, item: T, condition: Condition) -> None:
        for leaf in leaves(condition):
            if not isinstance(leaf, (Happening, Absence)):
                continue
            kind, ids = _named(leaf.filter)
            patterns = name_patterns(leaf)
            wanted = positive(patterns or ())
            # Only negated ones, or none: any name will do.
            needs_any = patterns is None or not wanted or (isinstance(leaf, Absence) and not positive(leaf.expect))
            for pattern in [WILDCARD] if needs_any else wanted:
                self._drawer(pattern).file(item, kind, ids)

    def _drawer(self, pattern: str) -> _Drawer[T]:
        if is_exact(pattern):
            return self._names.setdefault(pattern, _Drawer())
        return self._beginnings.setdefault(pattern.split(WILDCARD, 1)[0], _Drawer())


def _named(selection: Filter) -> tuple[str, list[str]]:
    """The ids that a filter asks for, and of what: ``own``, ``related``, or the empty text for none."""
    places = [("own", selection.match), *(("related", selector) for selector in selection.match_related)]
    for kind, selector in places:
        ids = positive(selector.get(_ID, ()))
        if ids and len(ids) <= IDS_MAX and all(map(is_exact, ids)):
            return kind, ids
    return "", []
