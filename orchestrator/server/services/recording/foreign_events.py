"""Events in the words of other systems, taken in through a pure mapping to ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ...schemas.events import Refusal
from . import events
from .events import Ingested, RefusedEvent

#: Our events of one foreign document; raises Refusal.
Mapping = Callable[[Any, datetime], Sequence[dict[str, Any]]]


def ingest(session: Session, documents: Sequence[Any], mapping: Mapping, now: datetime, source: str) -> Ingested:
    """Take in documents of another system; one that cannot be taken is refused alone, by its place in the list.

    Args:
        source: As :func:`.events.ingest` has it.

    Returns:
        How many documents were taken, and why the others were not.
    """
    ours: list[dict[str, Any]] = []
    places: list[int] = []
    refused: list[RefusedEvent] = []
    for place, document in enumerate(documents):
        try:
            mapped = mapping(document, now)
        except Refusal as refusal:
            refused.append(RefusedEvent(place, refusal.code, str(refusal)))
            continue
        ours.extend(mapped)
        places.extend([place] * len(mapped))
    taken = events.ingest(session, ours, now, source)
    refused += [replace(problem, index=places[problem.index]) for problem in taken.refused]
    first = {problem.index: problem for problem in reversed(refused)}
    return Ingested(len(documents) - len(first), [first[place] for place in sorted(first)])
