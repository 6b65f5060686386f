"""Tells people of runs, as deployments ask: writes messages, and has those that are due sent."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from ... import outgoing as outgoing_ways
from ...clock import now as present_instant
from ..db import session as database
from ..db.session import after_commit
from ..services import notifications
from .senders import Senders, deliver

INTERVAL = timedelta(seconds=2)
#: Events in one step.
BATCH = 1000
#: Notifications that are begun or settled in one step.
FEW = 100


def send(outgoing: notifications.Outgoing) -> None:
    """Send a message, and note what became of it."""
    wanted = {"subject": outgoing.subject, "body": outgoing.body}
    error, _ = deliver(outgoing.document, lambda block: outgoing_ways.send("notify", block, wanted))
    database.retried(
        lambda session: notifications.finish(session, outgoing.id, outgoing.attempt, error, present_instant())
    )


senders = Senders(send, notifications.AT_ONCE, notifications.TIME_OUT.total_seconds())


def step(session: Session, now: datetime) -> int:
    """Settle, read, begin; what is to be sent from here is sent once the transaction is over. Returns how many events
    were read.
    """
    notifications.settle(session, now, FEW)
    read = notifications.collect(session, now, BATCH)
    room, hanging = senders.room()
    for outgoing in notifications.begin_due(session, now, FEW, room, hanging):
        after_commit(session, senders.send, outgoing)
    return read
