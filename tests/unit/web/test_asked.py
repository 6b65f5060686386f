"""What addresses and forms may hold."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from orchestrator.errors import InvalidInput, NotFound, ParameterError
from orchestrator.states import StateType
from orchestrator.web.panels import deployments, runs

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)


def test_filters_of_the_list_of_runs() -> None:
    deployment = uuid.uuid4()
    given = {"q": " otter ", "tag": "prod", "deployment": str(deployment), "queue": "duck", "within": "24h"}
    wanted = runs.asked(given, ["FAILED", "CRASHED"]).filter(NOW)
    assert wanted.state_types == (StateType.FAILED, StateType.CRASHED)
    assert (wanted.name, wanted.tags, wanted.deployment_id, wanted.work_queue) == (
        "otter",
        ("prod",),
        deployment,
        "duck",
    )
    assert wanted.created_after == NOW - timedelta(days=1)
    assert wanted.due_before is None


def test_what_lies_ahead_is_shown_only_when_asked_for() -> None:
    assert not runs.asked({}, []).any
    assert runs.asked({}, []).filter(NOW).due_before == NOW
    assert runs.asked({}, ["SCHEDULED"]).filter(NOW).due_before is None


def test_late_runs_alone_and_beside_others() -> None:
    alone = runs.asked({}, ["LATE"]).filter(NOW)
    assert (alone.state_types, alone.state_names) == ((StateType.SCHEDULED,), ("Late",))
    beside = runs.asked({}, ["FAILED", "LATE"]).filter(NOW)
    assert beside.state_types == (StateType.FAILED, StateType.SCHEDULED)
    assert set(beside.state_names) == {"Late", "Failed", "TimedOut", "SuspensionTimedOut"}
    all_scheduled = runs.asked({}, ["SCHEDULED", "LATE"]).filter(NOW)
    assert (all_scheduled.state_types, all_scheduled.state_names) == ((StateType.SCHEDULED,), ())


@pytest.mark.parametrize(
    ("given", "states", "named"),
    [
        ({}, ["BROKEN"], "state=BROKEN"),
        ({"within": "2h"}, [], "within=2h"),
        ({"deployment": "x"}, [], "deployment=x"),
        ({"since": "yesterday"}, [], "since"),
        ({"until": "2026-11-23T12:00:00"}, [], "no time zone"),
    ],
)
def test_a_filter_that_cannot_be_is_named(given: dict[str, str], states: list[str], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        runs.asked(given, states)


def test_the_launch_form() -> None:
    form = {
        "parameters": '{"a": 1}',
        "when": "later",
        "due": "2027-01-31T01:00:00.000Z",
        "name": " n ",
        "tags": "x, ,y",
    }
    launch = deployments.read_launch(form)
    assert launch.parameters == {"a": 1}
    assert launch.due == datetime(2027, 1, 31, 1, tzinfo=timezone.utc)
    assert (launch.name, launch.tags) == ("n", ("x", "y"))
    assert deployments.read_launch({"due": "2027-01-31T01:00:00Z"}).due is None  # "now" was chosen


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"parameters": "{"}, "parameters"),
        ({"parameters": "[1]"}, "parameters"),
        ({"when": "later", "due": ""}, "due"),
        ({"when": "later", "due": "tomorrow"}, "due"),
    ],
)
def test_a_field_that_cannot_be_read_is_named(form: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        deployments.read_launch(form)
    assert list(caught.value.errors) == [field]


def test_refusals_by_field() -> None:
    assert deployments.refusal(ParameterError("no", {"a": ["is wrong"]})) == {"parameters.a": ["is wrong"]}
    assert deployments.refusal(NotFound("gone")) == {"": ["gone"]}
