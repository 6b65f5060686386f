"""Long-polls over task jobs: of flows for outcomes, of workers for jobs."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from .db import session as database
from .services.statements import TERMINAL_TYPES, fetch
from .waiting_room import Room, Waiter


@dataclass(eq=False)
class _Waiter(Waiter):
    """Waits for ended jobs of a flow run or, as a worker, for one that nobody took, or the run's end."""

    run_id: uuid.UUID
    is_worker: bool


_LOOK = f"""
SELECT w.number FROM unnest(%(runs)s::uuid[], %(workers)s::bool[]) WITH ORDINALITY AS w(run_id, is_worker, number)
WHERE CASE WHEN w.is_worker THEN EXISTS (
        SELECT 1 FROM task_job j WHERE j.flow_run_id = w.run_id AND j.ended IS NULL AND j.worker_id IS NULL)
    ELSE EXISTS (SELECT 1 FROM task_job j WHERE j.flow_run_id = w.run_id AND j.ended IS NOT NULL)
        OR EXISTS (SELECT 1 FROM task_job j JOIN flow_run o ON o.id = j.worker_id
            WHERE j.flow_run_id = w.run_id AND j.ended IS NULL AND o.state_type IN ({TERMINAL_TYPES})) END
    OR EXISTS (SELECT 1 FROM flow_run r WHERE r.id = w.run_id AND r.state_type IN ({TERMINAL_TYPES}))"""


def _look(waiters: Sequence[_Waiter]) -> None:
    told = {"runs": [waiter.run_id for waiter in waiters], "workers": [waiter.is_worker for waiter in waiters]}
    with database.reading() as session:
        for (number,) in fetch(session, _LOOK, told):
            waiters[number - 1].woken.set()


_room: Room[_Waiter] = Room("job-waiters", _look)


def wait(run_id: uuid.UUID, timeout: float, *, is_worker: bool) -> bool:
    """Wait for something to do, ``timeout`` seconds at most; tells whether there is."""
    return _room.wait(_Waiter(run_id, is_worker), timeout)


def wake() -> None:
    """Have those who wait in this process looked after at once."""
    _room.wake()
