"""What tests of actions do: save blocks, deploy, turn the loop round."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import select

from orchestrator.clock import now
from orchestrator.kinds import block_kinds
from orchestrator.server import loops
from orchestrator.server.db import session as db
from orchestrator.server.db.models import (
    FlowRun,
)
from orchestrator.server.loops import actions as loop
from orchestrator.server.loops.senders import Senders
from orchestrator.server.services.acting import action_outbox
from orchestrator.server.services.configuring import blocks
from orchestrator.server.services.configuring.block_types import register
from orchestrator.server.services.deploying import deployments
from tests.polling import until
from tests.server_rows import ANN


@pytest.fixture
def senders(app: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Senders]:
    """A loop with threads of its own."""
    made = Senders(loop.send, action_outbox.AT_ONCE, action_outbox.TIME_OUT.total_seconds())
    monkeypatch.setattr(loop, "senders", made)
    yield made
    until(made.idle, "the threads to end")


def save(slug: str, name: str, **data: Any) -> uuid.UUID:
    with db.transaction() as session:
        register(session, block_kinds.find(slug).type_facts(), ANN, now())
        return blocks.create(session, slug, data, name=name, actor=ANN, now=now()).id


def deploy(**facts: Any) -> uuid.UUID:
    document = {"flow": "etl", "name": "prod", "entrypoint": "flow.py:etl", **facts}
    with db.transaction() as session:
        return deployments.apply(session, document, ANN, now()).deployment.id


def turn(at: datetime | None = None) -> None:
    """One round of the loop, and the end of what it began."""
    loops.run("actions", at or now())
    until(loop.senders.idle, "what was begun to be done")


def all_runs() -> list[FlowRun]:
    with db.reading() as session:
        return list(session.scalars(select(FlowRun)))
