"""Long-polls of flows: requests that wait for the answer to a question, or for a message."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ..clock import now
from .db import session as database
from .services.statements import fetch
from .waiting_room import Room, Waiter


@dataclass(eq=False)
class _Reader(Waiter):
    """Waits until question ``question_id`` is settled or, where that is None, until there are messages."""

    run_id: uuid.UUID
    question_id: uuid.UUID | None = None
    key_prefix: str | None = None
    after: int = 0


_SETTLED = """
SELECT q.id FROM flow_question q JOIN flow_run r ON r.id = q.flow_run_id
WHERE q.id = ANY(%(ids)s) AND (q.state <> 'pending' OR r.state_type <> 'PAUSED' OR q.deadline <= %(now)s)"""
_ARRIVED = """
SELECT w.number FROM unnest(%(runs)s::uuid[], %(prefixes)s::text[], %(afters)s::int[])
    WITH ORDINALITY AS w(run_id, key_prefix, after, number)
WHERE EXISTS (SELECT 1 FROM flow_message m WHERE m.flow_run_id = w.run_id AND m.position > w.after
    AND (w.key_prefix IS NULL OR m.key_prefix = w.key_prefix))"""


def _look(readers: Sequence[_Reader]) -> None:
    asking = [reader for reader in readers if reader.question_id is not None]
    reading = [reader for reader in readers if reader.question_id is None]
    with database.reading() as session:
        if asking:
            ids = [reader.question_id for reader in asking]
            settled = {key for (key,) in fetch(session, _SETTLED, {"ids": ids, "now": now()})}
            for reader in asking:
                if reader.question_id in settled:
                    reader.woken.set()
        if reading:
            told = {
                "runs": [reader.run_id for reader in reading],
                "prefixes": [reader.key_prefix for reader in reading],
                "afters": [reader.after for reader in reading],
            }
            for (number,) in fetch(session, _ARRIVED, told):
                reading[number - 1].woken.set()


_room: Room[_Reader] = Room("answers", _look)


def wait_for_answer(run_id: uuid.UUID, question_id: uuid.UUID, timeout: float) -> bool:
    """Wait until a question is settled, its time is up, or its run is paused no more; tells whether that came to be
    within ``timeout`` seconds."""
    return _room.wait(_Reader(run_id, question_id), timeout)


def wait_for_message(run_id: uuid.UUID, key_prefix: str | None, after: int, timeout: float) -> bool:
    """Wait until a run has a message behind the position ``after``; tells whether it has, within ``timeout`` seconds.

    Args:
        key_prefix: Only such messages; None: any.
    """
    return _room.wait(_Reader(run_id, key_prefix=key_prefix, after=after), timeout)


def wake() -> None:
    """Have those who wait in this process looked after at once: something was answered or sent here."""
    _room.wake()
