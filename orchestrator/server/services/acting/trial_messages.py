"""Messages that somebody sends by a notifier to see whether they arrive.

One goes the way of every ``notify`` action, through the outbox, for a firing that nothing caused; but it is tried once.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ....documents.records import Actor
from ....errors import InvalidInput
from ....ids import uuid7
from ...config import current
from ...db.models import Firing
from ..configuring import blocks
from ..recording.announcements import announce, resource
from . import actions
from .action_results import TEST
from .notification_texts import base_url

SUBJECT = "A test message from Orchestrator"
#: Names of people and blocks come in as data: what looks like a template in them stays as it is.
BODY = """This is a test: nothing happened.

**{{ context.by.name or context.by.type }}** sent it by **{{ context.block }}** to see whether it arrives.

{{ context.url }}"""


def send(session: Session, ref: str | uuid.UUID, actor: Actor, now: datetime) -> uuid.UUID:
    """Send a message by a notifier; returns the id of the action, which tells what became of it.

    Raises:
        NotFound: There is no such block.
        InvalidInput: It is no notifier.
    """
    block = blocks.get(session, ref)
    label = blocks.label(block)
    if "notifier" not in block.block_type.interfaces:
        raise InvalidInput(f"block {label} is no notifier: `orchestrator block ls --interface notifier` lists those")
    context: dict[str, Any] = {
        "by": actor.write(), "block": label, "url": f"{base_url(current())}/blocks/{block.id}",
    }  # fmt: skip
    firing = Firing(
        id=uuid7(now), occasion=TEST, state="resolved", fired=now, occurred=now, resolved=now, context=context,
        reason=f"a test message by {label}", chain_id=uuid.uuid4(),
    )  # fmt: skip
    session.add(firing)
    session.flush()
    document = {"do": "notify", "block": label, "subject": SUBJECT, "body": BODY}
    [action] = actions.queue(session, firing, TEST, [document], now)
    kind = resource("block-type", block.block_type_id, block.block_type.slug, "block-type")
    about = resource("block", block.id, label)
    announce(session, "block.test-message-asked", about, actor, now, [kind], action=str(action))
    return action
