"""The machine of triggers against the oracle: random triggers, events in any order, the clock in between."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator import triggers
from orchestrator.triggers import Over, Seen
from tests.model import oracle, worlds
from tests.model.oracle import SECOND, Oracle

#: Triggers in each example: ten thousand cases in all.
EXAMPLES, TRIGGERS = 1000, 10
LATENESS = 2


class Machine:
    """What the evaluator does for one trigger, without its database."""

    def __init__(self, document: dict[str, Any], since: int) -> None:
        self.spec, self.since = triggers.read(document), since
        self.states: dict[str, Any] = {}
        self.told: dict[str, list[Any]] = {}
        if not self.spec.for_each:
            self.states["[]"] = triggers.begin(self.spec, since).state

    def event(self, event: Seen) -> None:
        key = triggers.key_text(self.spec, event)
        if key is not None and triggers.is_concerned(self.spec, event):
            self._take(key, triggers.advance(self.spec, self.states.get(key), event, key, self.since))

    def clock(self, clock: int) -> None:
        for key, state in list(self.states.items()):
            while state is not None:
                outcome = triggers.pass_time(self.spec, state, key, clock)
                self._take(key, outcome)
                state = outcome.state if outcome.deadline is not None and outcome.deadline <= clock else None

    def _take(self, key: str, outcome: triggers.Outcome) -> None:
        self.states[key] = outcome.state
        self.told.setdefault(key, []).extend(told(item, key) for item in outcome.happened)


def told(item: Any, key: str) -> Any:
    """What the machine says, as the oracle says it."""
    if isinstance(item, Over):
        return oracle.Over(item.at)
    occasion = item.occasion.removeprefix(f"{key}|")
    return oracle.Fired(occasion if occasion.startswith("event") else f"deadline:{item.at}", item.at, item.debounced)


@pytest.mark.timeout(900)
@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(0, 2**32), st.integers(3, 25))
def test_the_machine_says_what_the_oracle_says(seed: int, steps: int) -> None:
    random = Random(seed)
    documents = [worlds.trigger(random) for _ in range(TRIGGERS)]
    machines = [Machine(document, 0) for document in documents]
    oracles = [Oracle(document, 0) for document in documents]
    now = 0.0
    for number in range(steps):
        now += random.choice([0, 0, 0.5, 1, 1, 2, 5, 20])
        if random.random() < 0.3:
            clock = round((now - LATENESS) * SECOND)
            for one, other in zip(machines, oracles, strict=True):
                one.clock(clock)
                other.clock(clock)
            continue
        made = worlds.event(random, now)
        at = round(min(made["occurred"], now) * SECOND)
        seen = Seen(str(number), made["event"], at, made["resource"], made["related"])
        arrival = oracle.Arrival(str(number), made["event"], at, made["resource"], made["related"])
        for one, other in zip(machines, oracles, strict=True):
            one.event(seen)
            other.event(arrival)
    for document, one, other in zip(documents, machines, oracles, strict=True):
        said = {key: list(happened) for key, happened in one.told.items() if happened}
        wanted = {key: list(happened) for key, happened in other.told.items() if happened}
        assert said == wanted, document
