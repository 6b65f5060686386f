"""Pain 27: events that are lost while the ways that they go are blocked."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from orchestrator import flow, reporting, settings, task
from orchestrator.client import Client
from orchestrator.errors import ApiUnreachable
from orchestrator.server import hints
from orchestrator.server.api import event_streams
from orchestrator.server.db import session as db

from ..live_api import Api
from ..polling import until

_TRANSITIONS = text(
    """
SELECT 'orchestrator.task-run.' || task_run_id, lower(type), attempt FROM task_run_state
UNION ALL SELECT 'orchestrator.flow-run.' || flow_run_id, lower(type), attempt FROM flow_run_state"""
)
_EVENTS = text(
    """
SELECT resource_id, split_part(event, '.', 2), (payload->>'attempt')::int FROM event
WHERE event LIKE 'task-run.%' OR event LIKE 'flow-run.%'"""
)
_ENDED = text("SELECT count(*) FROM task_run WHERE state_type = 'COMPLETED'")
#: How far the server's mark of each producer is, as the reports carry no other gaps.
_MARKS = text("SELECT sequence FROM producer WHERE sequence > 0")


def rows(query: Any) -> list[tuple[Any, ...]]:
    with db.reading() as session:
        return [tuple(row) for row in session.execute(query)]


@pytest.fixture
def no_redis() -> Iterator[None]:
    """Redis cannot be reached, as nothing listens there."""
    hints.configure("redis://127.0.0.1:1/0")
    yield
    hints.configure(None)


class Follower:
    """Follows all events of runs, over as many connections as it takes."""

    def __init__(self, client: Client) -> None:
        self.seen: list[str] = []
        self.connected = 0
        #: Behind which event it is; None: the server has not begun to answer.
        self.place: str | None = None
        self._client = client
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                following = self._client.follow("events/stream", {"event": ["task-run.*", "flow-run.*"]}, self.place)
                self.connected += 1
                for here, event in following:
                    self.place = here
                    if event is not None:
                        self.seen.append(event["id"])
                    if self._over.is_set():
                        break
                following.close()
            except ApiUnreachable:
                self._over.wait(0.05)

    def close(self) -> None:
        self._over.set()
        self._thread.join()


def test_pain_27_events_are_transitions_though_every_channel_was_blocked(
    api: Api, no_redis: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "LONGEST_S", 0.5)  # a stopping server waits for the end of its streams
    blocked, passed = threading.Barrier(2, timeout=60), threading.Barrier(2, timeout=60)

    @task
    def work(number: int) -> int:
        if number == 7:
            blocked.wait()
        if number == 14:
            passed.wait()
        return number

    @flow
    def twenty() -> list[int]:
        return [work(number) for number in range(20)]

    follower = Follower(Client.from_settings())
    until(lambda: follower.place, "somebody follows")
    done: list[list[int]] = []
    running = threading.Thread(target=lambda: done.append(twenty()))
    running.start()
    try:
        blocked.wait()  # some tasks have ended: from here on neither Redis, nor the API, nor the stream can be reached
        api.stop()
        passed.wait()  # half of the flow ran meanwhile
        running.join(60)
        assert done == [[*range(20)]], "the flow does not wait for anybody"
        api.start()
        until(lambda: reporting.process_reporter(settings.load()).flush(5), "all was told", timeout=60)
        until(lambda: rows(_ENDED) == [(20,)], "Postgres knows of all ends")
        transitions, events = Counter(rows(_TRANSITIONS)), Counter(rows(_EVENTS))
        assert events == transitions, "an event for each transition, and none twice"
        assert sum(events.values()) >= 20
        assert all(mark > 0 for (mark,) in rows(_MARKS))
        until(lambda: len(set(follower.seen)) == sum(events.values()), "the follower has seen them all", timeout=60)
    finally:
        follower.close()
    assert len(follower.seen) == len(set(follower.seen)), "none came twice"
    assert follower.connected > 1
