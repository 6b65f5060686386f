"""Has actions done that firings asked for."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ... import outgoing as ways
from ...clock import now as present_instant
from ..db import session as database
from ..db.session import after_commit
from ..services.acting import action_outbox
from ..services.acting.action_outbox import AT_ONCE, TIME_OUT, Outgoing
from .senders import Senders, deliver

INTERVAL = timedelta(seconds=2)
#: Actions that are done in one step, and those that are begun or settled.
BATCH, OTHERS = 250, 50


def send(outgoing: Outgoing) -> None:
    """Do an outgoing action, and note what became of it."""
    error, result = deliver(outgoing.document, lambda block: ways.send(outgoing.kind, block, outgoing.content))
    database.retried(
        lambda session: action_outbox.finish(session, outgoing.id, outgoing.attempt, error, present_instant(), result)
    )


senders = Senders(send, AT_ONCE, TIME_OUT.total_seconds())


def step(session: Session, now: datetime) -> int:
    """Do what touches only this database, settle, begin; what goes out is sent once the transaction is over. Returns
    how many were done in it.
    """
    done = action_outbox.perform(session, now, BATCH)
    if not action_outbox.others_wait(session, now):
        return done
    action_outbox.settle(session, now, OTHERS)
    room, hanging = senders.room()
    for outgoing in action_outbox.begin_due(session, now, OTHERS, room, hanging):
        after_commit(session, senders.send, outgoing)
    return done
