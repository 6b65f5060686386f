"""Expectations: what should happen by when, and what became of it.

:func:`read` checks a document, :func:`sentence` says it in plain English, :class:`Timetable` gives the windows along a
schedule and a calendar, :class:`Occurrence` and :func:`follow` judge what has arrived. All of it is pure: the clock is
handed in, so that the server, the command line and tests come to the same answer.
"""

from ..timing.calendars import BUILT_IN, Calendar
from .documents import (
    EACH_RUN,
    STREAK,
    TIMETABLE,
    Events,
    Runs,
    Spec,
    of_owner,
    read,
    read_owned,
    without_owner,
)
from .judging import DUE, LATE, MET, MISSED, STATUSES, Arrival, Occurrence, begin_streak, follow
from .outcomes import outcome
from .sentences import sentence
from .windows import Timetable, Window, add_counted

__all__ = [
    "BUILT_IN", "DUE", "EACH_RUN", "LATE", "MET", "MISSED", "STATUSES", "STREAK", "TIMETABLE", "Arrival", "Calendar",
    "Events", "Occurrence", "Runs", "Spec", "Timetable", "Window", "add_counted", "begin_streak", "follow", "of_owner",
    "outcome", "read", "read_owned", "sentence", "without_owner",
]  # fmt: skip
