"""Documents of expectations: what is read, what is refused, and what is said."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest

from orchestrator.errors import InvalidInput
from orchestrator.expectations import EACH_RUN, STREAK, TIMETABLE, Runs, read, sentence

RUN = {"deployment": "etl/nightly"}
DAILY = {"cron": "0 9 * * *", "timezone": "Europe/Berlin", "calendar": "weekdays"}

#: The examples of the manual, and how they are said.
EXAMPLES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"run": RUN, "every": DAILY, "by": "09:15"},
        TIMETABLE,
        "A COMPLETED run of etl/nightly by 09:15 Europe/Berlin, each day from 09:00 Europe/Berlin, on days of the"
        " calendar weekdays.",
    ),
    (
        {
            "on": {"match": {"resource.id": "postgres://dwh/orders"}, "expect": "resource.changed"},
            "within": "24h",
        },
        STREAK,
        "An event resource.changed of postgres://dwh/orders at least every 1 day.",
    ),
    (
        {"on": {"match": {"resource.id": "sensor.7"}, "expect": ["heartbeat"]}, "heartbeat": 60, "grace": "5s"},
        STREAK,
        "An event heartbeat of sensor.7 every 1 minute, with 5 seconds of grace.",
    ),
    (
        {"run": {**RUN, "finishes_within": "30m", "of": "schedule"}},
        EACH_RUN,
        "Each run of etl/nightly ends within 30 minutes of its scheduled time.",
    ),
    (
        {
            "on": {"expect": ["file.created"], "match": {"env": ["prod", "!test"]}},
            "every": {"cron": "0 22 * * *"},
            "by": "06:00",
            "for_each": "store",
            "each_of": ["17", "18", "19", "20"],
        },
        TIMETABLE,
        "An event file.created with env prod or not test by 06:00 UTC, each day from 22:00 UTC, for each of 17, 18, 19"
        " and 1 more.",
    ),
    (
        {"run": {"tags": ["dwh"], "state": "completed"}, "every": {"interval": "1h"}, "by": "1h", "count": 3},
        TIMETABLE,
        "3 COMPLETED runs of tagged dwh within 1 hour of the slot, every 1 hour.",
    ),
]


@pytest.mark.parametrize(("document", "kind", "said"), EXAMPLES)
def test_the_examples_are_read_and_said(document: dict[str, Any], kind: str, said: str) -> None:
    spec = read({"name": "x", **document})
    assert spec.kind == kind
    assert sentence(spec) == said


def test_everything_that_may_be_left_out_has_its_default() -> None:
    spec = read({"name": "x", "run": RUN, "every": DAILY, "by": "09:15"})
    assert (spec.by, spec.grace, spec.early, spec.count) == (time(9, 15), timedelta(0), timedelta(0), 1)
    assert (spec.severity, spec.owner, spec.active, spec.calendar) == ("warning", "", True, "weekdays")
    assert spec.what == Runs(deployment="etl/nightly")
    assert read({"name": "x", "on": {"expect": "a"}, "within": 60, "each_of": ["b", "b"]}).each_of == ("b",)
    assert read({"name": "x", "on": {"expect": "a"}, "within": 60, "each_of": ["b"]}).for_each == ("resource.id",)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({}, "on"),
        ({"on": {}, "within": 60}, "on"),
        ({"on": {"expect": "a"}, "run": RUN, "within": 60}, "on"),
        ({"on": {"expect": "a"}}, "every"),
        ({"on": {"expect": "a"}, "within": 60, "heartbeat": 60}, "heartbeat"),
        ({"on": {"expect": "a"}, "within": "soon"}, "within"),
        ({"on": {"expect": "a"}, "within": 0}, "within"),
        ({"on": {"expect": "a"}, "within": 60, "count": 2}, "count"),
        ({"on": {"expect": "a"}, "within": 60, "by": "09:15"}, "by"),
        ({"on": {"expect": "a"}, "within": 60, "timezone": "Europe/Berlinn"}, "timezone"),
        ({"on": {"expect": "a", "matches": {}}, "within": 60}, "on.matches"),
        ({"on": {"match": {"a": {"b": 1}}}, "within": 60}, "on.match.a"),
        ({"run": {}, "within": 60}, "run"),
        ({"run": {"deployment": "nightly"}, "within": 60}, "run.deployment"),
        ({"run": {**RUN, "state": "DONE"}, "within": 60}, "run.state"),
        ({"run": {**RUN, "finishes_within": "30m"}, "within": 60}, "within"),
        ({"run": {**RUN, "finishes_within": "30m", "of": "birth"}}, "run.of"),
        ({"run": {**RUN, "of": "start"}, "within": 60}, "run.of"),
        ({"run": RUN, "within": 60, "for_each": "x"}, "for_each"),
        ({"run": RUN, "every": {"cron": "0 9 * *"}, "by": "09:15"}, "every.cron"),
        ({"run": RUN, "every": DAILY}, "by"),
        ({"run": RUN, "every": DAILY, "by": "25:00"}, "by"),
        ({"run": RUN, "every": DAILY, "by": "09:15", "calendar": "weekdays"}, "calendar"),
        ({"on": {"expect": "a"}, "within": 60, "each_of": []}, "each_of"),
        ({"on": {"expect": "a"}, "within": 60, "each_of": ["a"], "for_each": ["b", "c"]}, "for_each"),
        ({"on": {"expect": "a"}, "within": 60, "severity": "loud"}, "severity"),
        ({"on": {"expect": "a"}, "within": 60, "then": [1]}, "then.0"),
        ({"on": {"expect": "a"}, "within": 60, "sla": 1}, "sla"),
        ({"on": {"expect": "a"}, "within": 60, "name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_refused_by_field(document: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read({"name": "x", **document})
    assert field in caught.value.errors
    assert str(caught.value).startswith(next(iter(caught.value.errors)))
