"""The evaluator on Postgres against the oracle (:mod:`tests.model`): random triggers, events that come out of order,
late, twice, in transactions that are committed in another order than they write; steps that die, and two at once.

Whatever was read and decided by steps that were committed is told to the oracle in the order of the cursor's lock;
what it says is compared with the firings in the database. One case is one trigger in one such world.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import event as hooks
from sqlalchemy import select, text

from orchestrator.clock import from_text, now
from orchestrator.ids import uuid7
from orchestrator.server.config import current
from orchestrator.server.db import session as db
from orchestrator.server.db.models import Firing, Trigger
from orchestrator.server.services.reacting import evaluation, triggers
from orchestrator.server.services.recording import event_cursor, events
from orchestrator.triggers import absence, grouping, happening
from tests.model import oracle, worlds
from tests.model.oracle import Oracle
from tests.server_rows import ANN

#: Worlds, and triggers in each. ``ORCHESTRATOR_TEST_WORLDS=100`` makes it ten thousand cases.
WORLDS = int(os.environ.get("ORCHESTRATOR_TEST_WORLDS", "8"))
TRIGGERS = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
#: A hundred triggers keep a slow machine busy for longer than transactions may idle or wait.
PATIENT = text("SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = 0")
_TABLES = "TRUNCATE trigger, event_cursor, event CASCADE"


class Killed(Exception):
    """A step dies."""


def micro(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


@dataclass
class Step:
    """What one step read, and up to when it decided."""

    number: int
    read: list[str] = field(default_factory=list)
    clock: int | None = None


class Watch:
    """Notes what steps read and decide. The numbers are given while the cursor's row is locked."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.count = itertools.count()
        self.here = threading.local()
        self.done: list[Step] = []
        self._take, self._clock = event_cursor.take, evaluation._clock
        patch.setattr(event_cursor, "take", self.take)
        patch.setattr(evaluation, "_clock", self.clock)

    def take(self, *args: Any, **kwargs: Any) -> list[Any]:
        rows = self._take(*args, **kwargs)
        self.here.step = Step(next(self.count), [str(row.id) for row in rows])
        return rows

    def clock(self, *args: Any, **kwargs: Any) -> datetime:
        found = self._clock(*args, **kwargs)
        self.here.step.clock = micro(found)
        return found

    def step(self, at: datetime, batch: int) -> int:
        """One step, whole."""
        with db.transaction() as session:
            session.execute(PATIENT)
            done = evaluation.step(session, at, batch)
        self.done.append(self.here.step)
        return done

    def killed(self, at: datetime, batch: int, statements: int) -> None:
        """A step that dies after so many statements, as its transaction is undone; or that gets through before."""
        left = itertools.count()

        def count(*_: Any) -> None:
            if next(left) >= statements:
                raise Killed

        try:
            with db.transaction() as session:
                session.execute(PATIENT)
                hooks.listen(session.connection(), "before_cursor_execute", count)
                evaluation.step(session, at, batch)
                hooks.remove(session.connection(), "before_cursor_execute", count)
        except Killed:
            return
        self.done.append(self.here.step)


class World:
    """A database with triggers, and a stream of events."""

    def __init__(self, random: Random, watch: Watch) -> None:
        self.random, self.watch = random, watch
        self.begun = now().replace(microsecond=0) - timedelta(minutes=30)
        self.at = self.begun
        self.arrived: dict[str, oracle.Arrival] = {}
        self.told: list[dict[str, Any]] = []
        self.documents = {f"t{number}": worlds.trigger(random, f"t{number}") for number in range(TRIGGERS)}
        self.open = ExitStack()
        self.sessions: list[Any] = []
        self.told_at_end: dict[int, list[dict[str, Any]]] = {}
        with db.transaction() as session:
            session.execute(text(_TABLES))
            for document in self.documents.values():
                triggers.create(session, document, ANN, self.at)
        watch.done.clear()
        watch.step(self.at, 1000)
        watch.done.clear()

    def play(self, steps: int) -> None:
        """Something random, again and again; in the end all is committed and read."""
        does = (
            [self.tell] * 6 + [self.step] * 3 + [self.kill] * 2 + [self.begin, self.end, self.end, self.both, self.wait]
        )
        for _ in range(steps):
            self.random.choice(does)()
        self.open.close()
        self.sessions.clear()
        for seconds in (0, 100):
            self.at += timedelta(seconds=seconds)
            while self.watch.step(self.at, 1000) >= 1000:
                pass

    def wait(self) -> None:
        self.at += timedelta(seconds=self.random.choice([0, 0.5, 1, 2, 5, 20]))

    def tell(self) -> None:
        """Some events in a transaction, some of them told before."""
        self.wait()
        with db.transaction() as session:
            items = self._ingest(session)
        self.told += items

    def begin(self) -> None:
        """A transaction that is in no hurry."""
        if len(self.sessions) < 2:
            session = self.open.enter_context(ExitStack())
            self.sessions.append(session)
            writing = session.enter_context(db.transaction())
            writing.execute(PATIENT)
            items = self._ingest(writing)
            # Told again any earlier, they would have to wait for this transaction, which is in this very thread.
            self.told_at_end[id(session)] = items

    def end(self) -> None:
        """The end of one of those; now and then it is undone."""
        if self.sessions:
            ending = self.sessions.pop(self.random.randrange(len(self.sessions)))
            ending.close()
            self.told += self.told_at_end.pop(id(ending))

    def step(self) -> None:
        self.watch.step(self.at, self.random.choice([1, 3, 1000]))

    def kill(self) -> None:
        self.watch.killed(self.at, self.random.choice([1, 3, 1000]), self.random.randint(0, 25))

    def both(self) -> None:
        """Two evaluators at once."""
        threads = [threading.Thread(target=self.step_of, args=(self.random.choice([2, 1000]),)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def step_of(self, batch: int) -> None:
        self.watch.step(self.at, batch)

    def _ingest(self, session: Any) -> list[dict[str, Any]]:
        items = [self._event() for _ in range(self.random.randint(1, 4))]
        if self.told and self.random.random() < 0.2:
            items.append(self.random.choice(self.told))
        taken = events.ingest(session, items, self.at)
        assert not taken.refused
        return items

    def _event(self) -> dict[str, Any]:
        seconds = (self.at - self.begun).total_seconds()
        made = worlds.event(self.random, seconds)
        occurred = self.begun + timedelta(seconds=made["occurred"])
        identifier = str(uuid7(self.at))
        at = micro(min(occurred, self.at))
        self.arrived[identifier] = oracle.Arrival(identifier, made["event"], at, made["resource"], made["related"])
        return {**made, "id": identifier, "occurred": occurred.isoformat()}

    def wanted(self) -> dict[str, Any]:
        """What the oracle says of what was read and decided: firings by trigger and occasion, and what is open."""
        found: dict[str, Any] = {}
        steps = sorted(self.watch.done, key=lambda step: step.number)
        for name, document in self.documents.items():
            told = Oracle(document, micro(self.begun))
            for step in steps:
                for identifier in step.read:
                    if identifier in self.arrived:
                        told.event(self.arrived[identifier])
                if step.clock is not None:
                    told.clock(step.clock)
            found[name] = {key: said for key, happened in told.told.items() if (said := _said(happened))}
        return {name: keys for name, keys in found.items() if keys}

    def found(self) -> dict[str, Any]:
        """What is in the database."""
        found: dict[str, Any] = {}
        with db.reading() as session:
            query = select(Trigger.name, Firing).join(Firing, Firing.trigger_id == Trigger.id).order_by(Firing.id)
            for name, row in session.execute(query):
                occasion = row.occasion.removeprefix(f"{row.key}|")
                if occasion.startswith("deadline:"):
                    occasion = f"deadline:{micro(from_text(occasion.removeprefix('deadline:')))}"
                keys = found.setdefault(name, {}).setdefault(row.key, {})
                assert occasion not in keys
                keys[occasion] = (micro(row.occurred), row.suppressed, row.state == "open")
        return found


def _said(happened: list[Any]) -> dict[str, Any]:
    """Firings by occasion: when, why nothing is done, and whether it is open still."""
    said: dict[str, Any] = {}
    last = None
    lasting = False
    for item in happened:
        if isinstance(item, oracle.Over):
            if last is not None:
                said[last] = (*said[last][:2], False)
            lasting, last = True, None
        elif item.occasion not in said:
            said[item.occasion] = (item.at, "debounced" if item.debounced else "", not item.debounced)
            last = None if item.debounced else item.occasion
    return said if lasting or said else {}


@pytest.fixture
def watch(database_url: str) -> Iterator[Watch]:
    with pytest.MonkeyPatch.context() as patch:
        # The oracle forgets nothing; what the machine forgets after so many events has tests of its own.
        for module in (absence, grouping, happening):
            patch.setattr(module, "MEMORY", 100_000)
        yield Watch(patch)


@pytest.mark.timeout(900)
def test_firings_are_what_the_oracle_says(watch: Watch) -> None:
    assert current().trigger_lateness == timedelta(seconds=5)

    # A world cannot be made smaller step by step: its seed is all there is to say of it.
    @settings(
        max_examples=WORLDS,
        phases=[Phase.explicit, Phase.generate],
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32), st.integers(10, 60))
    def worlds_are_right(seed: int, steps: int) -> None:
        world = World(Random(seed), watch)
        with world.open:  # what is open still when it goes wrong would lock out the next world
            world.play(steps)
        wanted, found = _without_lasting(world), world.found()
        for name in {*wanted, *found}:
            assert found.get(name) == wanted.get(name), (seed, steps, world.documents[name])

    worlds_are_right()


def _without_lasting(world: World) -> dict[str, Any]:
    """Only an absence by itself goes on; everything else is over at once."""
    return {
        name: {
            key: {
                occasion: (*facts[:2], facts[2] and "absent" in world.documents[name]["when"])
                for occasion, facts in said.items()
            }
            for key, said in keys.items()
        }
        for name, keys in world.wanted().items()
    }
