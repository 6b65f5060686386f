"""What the clock has the server do about events, done here and now."""

from __future__ import annotations

from orchestrator.clock import now
from orchestrator.server.db import session as db
from orchestrator.server.services.acting import action_outbox
from orchestrator.server.services.reacting import evaluation


def work() -> None:
    """Evaluate and act until nothing is left to do."""
    for _ in range(20):
        with db.transaction() as session:
            read = evaluation.step(session, now(), 500)
        with db.transaction() as session:
            done = action_outbox.perform(session, now(), 100)
        if not read and not done:
            return
