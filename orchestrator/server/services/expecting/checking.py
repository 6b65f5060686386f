"""A document of an expectation, looked at before it is saved: what it says, and when it is due next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....expectations import EACH_RUN, TIMETABLE, begin_streak, sentence
from ...db.models import Expectation
from . import expectations
from .expectation_watch import watch_of

#: Deadlines that are told of a document that was not saved.
NEXT = 10


@dataclass(frozen=True)
class Checked:
    """What a document says."""

    sentence: str
    #: When it is due next. What is expected again and again: once, counted from now. Of each run: never by itself.
    next: list[datetime]


def look(session: Session, document: Mapping[str, Any], now: datetime) -> Checked:
    """Check a document without saving it. Raises InvalidInput as :func:`.expectations.check`."""
    spec = expectations.check(session, document)
    if spec.kind == EACH_RUN:
        return Checked(sentence(spec), [])
    watch = watch_of(session, Expectation(document=dict(document), since=now))
    if spec.kind == TIMETABLE:
        return Checked(sentence(spec), [window.due for window in watch.timetable.windows(now, NEXT)])
    return Checked(sentence(spec), [begin_streak(now, watch.reach, spec.grace).due])
