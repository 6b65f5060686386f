"""What this process just wrote of resources and relations: what is told again in the same second is not written again.

A busy source tells the same few thousand resources many times a second. Postgres would find out by itself that nothing
is new, at the price of reading all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

#: Events that lie so near to each other need not all be noted.
AS_ONE = timedelta(seconds=1)
#: Resources, and relations, that are remembered.
REMEMBERED = 50_000

Link = tuple[str, str, str]
Span = tuple[datetime, datetime]


class ToldLately:
    """What was written, by key; the values are those of :class:`.observing.Seen`."""

    def __init__(self) -> None:
        self._things: dict[str, Mapping[str, Any]] = {}
        self._links: dict[Link, Span] = {}

    def known(self, things: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """The resources of which nothing is told but what was written. They may have been deleted since."""
        held = self._things
        return {key for key, facts in things.items() if key in held and _says_no_more(facts, held[key])}

    def news(self, links: Mapping[Link, Span], missing: Collection[str]) -> dict[Link, Span]:
        """The relations to write: those that were not written lately, or of which an end is missing."""
        return {
            key: told
            for key, told in links.items()
            if not self._is_known(key, told) or key[0] in missing or key[1] in missing
        }

    def remember(self, things: Mapping[str, Mapping[str, Any]], links: Mapping[Link, Span]) -> None:
        """Note what was written, once that is committed."""
        if len(self._things) + len(things) > REMEMBERED:
            self._things = {}
        if len(self._links) + len(links) > REMEMBERED:
            self._links = {}
        for key, facts in things.items():
            self._things[key] = _joined(facts, self._things.get(key))
        self._links.update(links)

    def forget(self, keys: Iterable[str]) -> None:
        """These resources are not as they were written."""
        for key in keys:
            self._things.pop(key, None)

    def _is_known(self, key: Link, told: Span) -> bool:
        written = self._links.get(key)
        return written is not None and told[0] >= written[0] and told[1] < written[1] + AS_ONE


def _says_no_more(told: Mapping[str, Any], written: Mapping[str, Any]) -> bool:
    if told["gone"] is not None or written["gone"] is not None:
        return False
    if told["event"] is not None and (told["event"] != written["event"] or told["heard"] >= written["heard"] + AS_ONE):
        return False
    return (
        written["first"] <= told["first"]
        and told["at"] < written["at"] + AS_ONE
        and told["name"] in ("", written["name"])
        and told["kind"] in ("", written["kind"])
        and told["labels"].items() <= written["labels"].items()
    )


def _joined(told: Mapping[str, Any], written: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What is known of a resource after something more was written."""
    if written is None:
        return told
    last = told if told["event"] is not None else written
    return {
        "kind": told["kind"] or written["kind"],
        "name": told["name"] or written["name"],
        "labels": {**written["labels"], **told["labels"]},
        "first": min(told["first"], written["first"]),
        "at": max(told["at"], written["at"]),
        "event": last["event"],
        "heard": last["heard"],
        "gone": told["gone"],
    }
