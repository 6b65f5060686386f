"""By which id a resource is kept, if at all: the rules about resources, as a process holds them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ..statements import fetch

#: What begins the ids of our own things: no rule is about these.
OWN = "orchestrator."
#: Seconds for which a process goes by the rules that it read.
FRESH_S = 2.0
#: Longest chain of rules that is followed.
_STEPS = 10
#: Ids whose outcome is remembered.
_REMEMBERED = 50_000
_ALL = "SELECT pattern, target FROM resource_rule ORDER BY length(pattern) DESC, pattern"


class Rules:
    """What becomes of ids."""

    def __init__(self, rules: Iterable[tuple[str, str | None]]) -> None:
        told = [*rules]
        self._exact = {pattern: target for pattern, target in told if "*" not in pattern}
        self._patterns = [(compiled(pattern), target) for pattern, target in told if "*" in pattern]
        self._known: dict[str, str | None] = {}

    def resolve(self, identifier: str) -> str | None:
        """The id that a resource is kept by; None: it is left out."""
        if not self._exact and not self._patterns:
            return identifier
        try:
            return self._known[identifier]
        except KeyError:
            pass
        if len(self._known) >= _REMEMBERED:
            self._known = {}
        found = self._known[identifier] = self._follow(identifier)
        return found

    def _follow(self, identifier: str) -> str | None:
        present: str | None = identifier
        for _ in range(_STEPS):
            if present is None or present.startswith(OWN):
                return present
            after = self._once(present)
            if after == present:
                return present
            present = after
        return present

    def _once(self, identifier: str) -> str | None:
        if identifier in self._exact:
            return self._exact[identifier]
        for pattern, target in self._patterns:
            if identifier != target and pattern.fullmatch(identifier):
                return target
        return identifier


@dataclass(frozen=True)
class _Held:
    """Rules as a process last read them."""

    engine: Engine
    at: float
    rules: Rules


_held: _Held | None = None
_lock = threading.Lock()


def present(session: Session) -> Rules:
    """The rules, at most :data:`FRESH_S` old."""
    global _held
    held, engine = _held, session.connection().engine
    if held is not None and held.engine is engine and time.monotonic() - held.at < FRESH_S:
        return held.rules
    read = Rules((row.pattern, row.target) for row in fetch(session, _ALL, {}))
    with _lock:
        _held = _Held(engine, time.monotonic(), read)
    return read


def forget() -> None:
    """Read the rules anew at the next question."""
    global _held
    with _lock:
        _held = None


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern, in which ``*`` stands for anything."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("*")), re.DOTALL)
