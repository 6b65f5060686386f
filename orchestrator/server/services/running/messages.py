"""Messages to runs: numbered in the order in which they come, and kept as long as the run is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import Conflict, InvalidInput
from ....serializers import dumps
from ....states import TERMINAL, StateType
from ... import answers
from ...db.models import FlowMessage
from ...db.session import after_commit
from ..recording.announcements import announce, resource
from ..statements import PEOPLE_TYPES
from .runs import get
from .transitions import locked

#: Largest message, in bytes of JSON; and how many one run may be sent.
MESSAGE_MAX, MESSAGES_MAX = 64 * 1024, 10_000
#: Messages that one answer holds.
PAGE = 100


def send(
    session: Session,
    run_id: uuid.UUID,
    value: Any,
    *,
    key_prefix: str | None,
    sender: str | None,
    actor: Actor,
    now: datetime,
) -> FlowMessage:
    """Leave a message for a run.

    Args:
        key_prefix: By which receivers choose; None: what goes with the type of the value, such as ``str-auto``.
        sender: Whom an answer goes to.

    Raises:
        NotFound: There is no such run.
        InvalidInput: The message is too large.
        Conflict: The run has ended, or has had as many as it may.
    """
    size = len(dumps(value))
    if size > MESSAGE_MAX:
        problem = f"Takes {size:,} bytes of {MESSAGE_MAX:,} at most: send the address of what is large."
        raise InvalidInput(f"value: {problem}", {"value": [problem]})
    run = locked(session, run_id)
    if StateType(run.state_type) in TERMINAL:
        raise Conflict(f"flow run {run.name} is {run.state_type}: it receives nothing any more")
    last = session.scalar(select(func.max(FlowMessage.position)).where(FlowMessage.flow_run_id == run_id)) or 0
    if last >= MESSAGES_MAX:
        raise Conflict(f"flow run {run.name} was sent {MESSAGES_MAX:,} messages: a run may be sent no more")
    made = FlowMessage(
        flow_run_id=run_id, position=last + 1, key_prefix=key_prefix or default_prefix(value), value=value,
        sender=sender, created=now, created_by=actor.write(),
    )  # fmt: skip
    session.add(made)
    session.flush()
    if actor.type in PEOPLE_TYPES:  # what runs tell each other is theirs
        about, said = resource("flow-run", run.id, run.name), {"key_prefix": made.key_prefix, "value": value}
        announce(session, "flow-run.message-sent", about, actor, now, after=said)
    after_commit(session, answers.wake)
    return made


def listing(
    session: Session, run_id: uuid.UUID, key_prefix: str | None = None, after: int = 0, limit: int = PAGE
) -> Sequence[FlowMessage]:
    """Messages to a run behind a position, in order. Raises NotFound."""
    get(session, run_id)
    query = select(FlowMessage).where(FlowMessage.flow_run_id == run_id, FlowMessage.position > after)
    if key_prefix is not None:
        query = query.where(FlowMessage.key_prefix == key_prefix)
    return session.scalars(query.order_by(FlowMessage.position).limit(limit)).all()


def default_prefix(value: Any) -> str:
    """What a message is chosen by where its sender says nothing: the type of its value."""
    return f"{'none' if value is None else type(value).__name__}-auto"
