"""What is to be masked is known before what was written after it."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from typing import Any, cast

import pytest

from orchestrator.client import Client
from orchestrator.clock import now
from orchestrator.documents.records import Infrastructure, Job, State
from orchestrator.interfaces import LaunchSpec
from orchestrator.reporting.pipes import PipeSink
from orchestrator.states import StateType
from orchestrator.workers.agent.frames import encode
from orchestrator.workers.agent.inbox import Inbox
from orchestrator.workers.agent.infrastructure import Infrastructures


@pytest.fixture
def link() -> Iterator[tuple[socket.socket, PipeSink]]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        yield ours, PipeSink(theirs.fileno())


def test_masks_are_taken_at_once_and_reports_keep_their_order(link: tuple[socket.socket, PipeSink]) -> None:
    hidden: list[str] = []
    inbox = Inbox(link[0], hidden.extend)
    link[1].put({"kind": "log", "message": "one"})
    link[1].put({"kind": "masks", "values": ["a", "b"]})
    link[1].put({"kind": "log", "message": "two"})
    assert inbox.pull()
    assert hidden == ["a", "b"]
    assert [b"one" in frame for frame in inbox.take()] == [True, False]
    assert inbox.take() == []


def test_a_frame_may_come_in_pieces_and_the_end_is_seen() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    hidden: list[str] = []
    inbox = Inbox(ours, hidden.extend)
    frame = encode({"kind": "masks", "values": ["ab"]})
    with ours:
        with theirs:
            theirs.sendall(frame[:9])
            assert inbox.pull()
            theirs.sendall(frame[9:])
        assert not inbox.pull()
    assert hidden == ["ab"]


def test_masks_that_are_none_are_left_out(link: tuple[socket.socket, PipeSink]) -> None:
    inbox = Inbox(link[0], lambda values: pytest.fail("hidden"))
    link[1].put({"kind": "masks", "values": None})
    assert inbox.pull()
    assert inbox.take() == []


class Host:
    """Remembers what it was told to hide before it started anything."""

    def __init__(self) -> None:
        self.hidden: list[Any] = []

    def hide(self, values: Any) -> None:
        self.hidden += values

    def start(self, spec: LaunchSpec) -> Any:
        return list(self.hidden)


class Api:
    """Gives one document."""

    def post(self, path: str) -> dict[str, Any]:
        data = {"env": {"TOKEN": "canary"}, "working_dir": None}
        return {"id": None, "type": "process", "name": "p", "data": data, "secrets": ["env/TOKEN"]}


def test_secrets_of_the_infrastructure_are_hidden_before_it_starts() -> None:
    infrastructure = Infrastructure(uuid.uuid4(), {}, now())
    job = Job(
        uuid.uuid4(), 1, "run", "flow", State(StateType.PENDING), "a.py:f", "", infrastructure=infrastructure
    )  # fmt: skip
    started = Infrastructures(cast(Client, Api())).launch(job, LaunchSpec(), cast(Any, Host()), lambda: True)
    assert cast(Any, started) == ["canary"]
