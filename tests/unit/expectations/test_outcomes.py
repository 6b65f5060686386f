"""What became of something that was expected, in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from orchestrator.expectations import LATE, MET, MISSED, Arrival, Occurrence, of_owner, outcome, read, without_owner

NINE = datetime(2026, 3, 2, 8, 0, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
SPEC = read(
    {"name": "nine-o-clock", "run": {"deployment": "etl/nightly"}, "grace": "2m", "by": "09:15",
     "every": {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}}
)  # fmt: skip
WINDOW = Occurrence(NINE, NINE, NINE + 15 * MINUTE, NINE + 17 * MINUTE)


def came(minutes: float, status: str) -> Occurrence:
    return replace(WINDOW, status=status, hits=(Arrival(NINE + minutes * MINUTE, "x"),))


@pytest.mark.parametrize(
    ("found", "more", "said"),
    [
        (replace(WINDOW, status=MISSED), {},
         "nine-o-clock: missed; expected by 09:15 Europe/Berlin on Monday 2026-03-02, with 2 minutes of grace"),
        (replace(WINDOW, status=MISSED), {"is_judged_late": True, "about": "store 17"},
         "nine-o-clock (store 17): missed; expected by 09:15 Europe/Berlin on Monday 2026-03-02, with 2 minutes of "
         "grace; found after an outage"),
        (came(41, LATE), {},
         "nine-o-clock: came after all at 09:41 Europe/Berlin on Monday 2026-03-02, 26 minutes late; expected by 09:15 "
         "Europe/Berlin on Monday 2026-03-02"),
        (came(10.5, MET), {}, "nine-o-clock: came in time, at 09:10:30 Europe/Berlin on Monday 2026-03-02"),
        (came(10, MET), {"was_missed": True},
         "nine-o-clock: came in time after all, at 09:10 Europe/Berlin on Monday 2026-03-02; that was heard of late"),
        (WINDOW, {}, "nine-o-clock: expected by 09:15 Europe/Berlin on Monday 2026-03-02, with 2 minutes of grace"),
    ],
)  # fmt: skip
def test_an_outcome_is_said_in_the_zone_of_the_expectation(found: Occurrence, more: dict[str, Any], said: str) -> None:
    assert outcome(SPEC, found, **more) == said


@pytest.mark.parametrize(
    ("run", "filled"),
    [
        ({"finishes_within": "30m"}, {"finishes_within": "30m", "deployment": "etl/prod"}),
        ({}, {"deployment": "etl/prod"}),
        (None, {"deployment": "etl/prod"}),
        ({"flow": "other"}, {"flow": "other"}),
        ({"tags": ["a"]}, {"tags": ["a"]}),
        ({"deployment": "a/b"}, {"deployment": "a/b"}),
    ],
)
def test_a_deployments_own_is_about_its_own_runs(run: dict[str, Any] | None, filled: dict[str, Any]) -> None:
    owned = of_owner({"name": "x", "run": run}, "etl/prod")
    assert owned["run"] == filled
    assert without_owner(owned, "etl/prod")["run"] == (run or {})
    assert of_owner({"name": "x", "on": {"expect": "a"}, "run": None}, "etl/prod")["run"] is None
