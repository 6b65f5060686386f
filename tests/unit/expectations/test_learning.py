"""What is learned from the past, and where there is nothing to learn."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from orchestrator.expectations import read
from orchestrator.expectations.learning import learn

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SINCE = NOW - timedelta(days=28)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def each_day(hour: int, spread: int, only: tuple[int, ...] = tuple(range(7))) -> list[datetime]:
    chance = random.Random(1)
    midnight = datetime(2026, 10, 26, tzinfo=BERLIN)
    days = [midnight + number * DAY for number in range(28)]
    return [day + timedelta(hours=hour, minutes=chance.randint(0, spread)) for day in days if day.weekday() in only]


def test_about_the_same_hour_on_weekdays() -> None:
    found = learn(each_day(6, 30, (0, 1, 2, 3, 4)), SINCE, NOW, BERLIN)
    assert found is not None
    assert found.when["every"] == {"cron": "0 6 * * mon,tue,wed,thu,fri", "timezone": "Europe/Berlin"}
    assert found.when["by"] == "06:45"
    assert found.met == 1
    read({"name": "x", "on": {"expect": "a"}, **found.when})


def test_each_day() -> None:
    found = learn(each_day(22, 10), SINCE, NOW, BERLIN)
    assert found is not None
    assert found.when["every"]["cron"] == "0 22 * * *"


def test_again_and_again() -> None:
    chance = random.Random(2)
    times = [SINCE + number * 10 * MINUTE + timedelta(seconds=chance.randint(0, 60)) for number in range(200)]
    found = learn(times, SINCE, NOW, BERLIN)
    assert found is not None
    assert 11 * 60 <= found.when["within"] <= 14 * 60
    assert found.met == 1


def test_too_seldom_or_without_a_pattern_gives_nothing() -> None:
    assert learn([], SINCE, NOW, BERLIN) is None
    assert learn(each_day(6, 30)[:4], SINCE, NOW, BERLIN) is None
    assert learn(each_day(0, 23 * 60), SINCE, NOW, BERLIN) is None
    chance = random.Random(3)
    times = [SINCE + timedelta(hours=chance.expovariate(0.2) * number) for number in range(60)]
    assert learn(times, SINCE, NOW, BERLIN) is None
