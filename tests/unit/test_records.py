"""The records that cross the wire: what is written can be read, also by an older client."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone

import pytest

from orchestrator import serializers
from orchestrator.documents.records import (
    Actor,
    FlowRun,
    Infrastructure,
    Job,
    Record,
    Reference,
    Registration,
    State,
    TaskRun,
)
from orchestrator.documents.records import Storage as StorageRecord
from orchestrator.ids import uuid7
from orchestrator.states import StateType

AT = datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=timezone.utc)
STATE = State(StateType.FAILED, "TimedOut", "too long", AT, {"exit_code": 1})
FLOW = Reference(uuid7(), "nightly")

RECORDS: list[Record] = [
    STATE,
    Actor("api-key", "1", "ada"),
    FlowRun(uuid7(), "duck", FLOW, STATE, deployment=FLOW, tags=["a"], due=AT, created_by=Actor("schedule"), attempt=2),
    FlowRun(uuid7(), "bare", FLOW, State(StateType.SCHEDULED, at=AT)),
    TaskRun(uuid7(), uuid7(), "clean", "key", STATE, upstream=[uuid7(), uuid7()], started=AT),
    Job(
        uuid7(), 1, "duck", "nightly", STATE, "flow.py:nightly", "run_token", FLOW, StorageRecord(uuid7(), "a", "b"),
        Infrastructure(uuid7(), {"env": {"A": "1"}}, AT), {"day": 1}, ["t"], "duck", 1500,
    ),
    Registration(uuid7(), None, 30.0, 10.0, 30.0),
]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_the_wire(record: Record) -> None:
    assert type(record).read(serializers.loads(serializers.dumps(record.write()))) == record


def test_what_a_newer_server_adds_is_ignored() -> None:
    assert State.read({**STATE.write(), "colour": "red"}) == STATE


def test_what_is_missing_takes_its_default_or_is_named() -> None:
    assert State.read({"type": "RUNNING"}).name == "Running"
    with pytest.raises(TypeError, match="name"):
        Reference.read({"id": str(uuid.uuid4())})


def test_a_state_of_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="ASLEEP"):
        State.read({"type": "ASLEEP"})


def test_a_state_is_named_as_one_likes() -> None:
    assert State(StateType.SCHEDULED, "Late").name == "Late"
    assert State(StateType.COMPLETED, "Skipped").name == "Skipped"
    assert State(StateType.RUNNING).name == "Running"


def test_ends_are_known_as_such() -> None:
    assert STATE.is_final()
    assert not State(StateType.RUNNING).is_final()
