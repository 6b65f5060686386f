"""Work for once: what waits now is executed, then the agent stops."""

from __future__ import annotations

import threading

from orchestrator.errors import OrchestratorError

from .api import back_off
from .desk import Desk
from .identity import Outage

#: Seconds between two looks at whether runs have ended.
LOOK = 0.1


def work_once(desk: Desk, outage: Outage, stopping: threading.Event) -> None:
    """Execute what can be claimed until nothing can, and nothing runs; an outage of the API is waited out."""
    pauses = back_off()
    while not stopping.is_set():
        was_idle = desk.is_idle
        if not desk.take_slot(timeout=0.5):
            continue
        try:
            job = desk.claim()
        except OrchestratorError as error:
            desk.free_slot()
            outage.begins(error)
            stopping.wait(next(pauses))
            continue
        pauses = back_off()
        if job is not None:
            desk.start(job)
            continue
        desk.free_slot()
        if was_idle:
            return
        while not desk.is_idle and not stopping.wait(LOOK):
            pass
