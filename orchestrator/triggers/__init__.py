"""What triggers wait for, decided without clock or database: both are handed in."""

from __future__ import annotations

from .documents import TriggerSpec, read, read_condition
from .explaining import Verdict, explain
from .index import Index
from .machine import (
    Firing,
    Outcome,
    Over,
    advance,
    begin,
    is_concerned,
    key_text,
    key_values,
    measure,
    pass_time,
    remembers,
)
from .matching import is_exact, matches, matches_related, meets
from .seen import Seen, instant, span, stamp
from .sentences import reason, sentence
from .waiting import Waiting, waiting

__all__ = [
    "Firing",
    "Index",
    "Outcome",
    "Over",
    "Seen",
    "TriggerSpec",
    "Verdict",
    "Waiting",
    "advance",
    "begin",
    "explain",
    "instant",
    "is_concerned",
    "is_exact",
    "key_text",
    "key_values",
    "matches",
    "matches_related",
    "measure",
    "meets",
    "pass_time",
    "read",
    "read_condition",
    "reason",
    "remembers",
    "sentence",
    "span",
    "stamp",
    "waiting",
]
