"""What tasks read and write is told when they complete; nothing of tasks that name nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from orchestrator import flow, task
from orchestrator.errors import InvalidInput

Reports = Callable[..., list[dict[str, Any]]]


def told(reports: Reports) -> list[dict[str, Any]]:
    return [item["event"] for item in reports("event")]


def test_each_resource_that_was_written_is_told_with_what_was_read(reports: Reports) -> None:
    @task(reads=["s3://raw/{day}.csv"], writes=["db://house/orders", lambda day, parts: [f"db://house/{day}/{parts}"]])
    def load(day: str, parts: int = 2) -> int:
        return parts

    @flow
    def outer() -> None:
        load("mon")

    outer()
    first, second = told(reports)
    [run] = {item["id"] for item in reports("flow-run")}
    assert first["event"] == "data.moved"
    assert first["resource"] == {"resource.id": "db://house/orders"}
    assert second["resource"] == {"resource.id": "db://house/mon/2"}
    whose = f"orchestrator.flow-run.{run}"
    assert first["relations"] == [
        {"source": whose, "target": "db://house/orders", "role": "writes"},
        {"target": "s3://raw/mon.csv", "role": "reads"},
        {"source": whose, "target": "s3://raw/mon.csv", "role": "reads"},
    ]
    assert [one["resource.role"] for one in first["related"]] == ["flow-run", "task-run"]


def test_one_that_only_reads_is_told_of_the_run(reports: Reports) -> None:
    @task
    def day() -> str:
        return "tue"

    @task(reads=["s3://raw/{day}.csv"])
    async def look(day: str) -> None: ...

    @flow
    async def outer() -> None:
        await look(day())

    asyncio.run(outer())
    [event] = told(reports)
    assert event["kind"] == "relationship"
    assert event["resource"]["resource.id"].startswith("orchestrator.flow-run.")
    assert [one["target"] for one in event["relations"]] == ["s3://raw/tue.csv"]


def test_futures_are_read_once_they_are_done(reports: Reports) -> None:
    @task
    def day() -> str:
        return "wed"

    @task(writes=["s3://out/{day}"])
    def store(day: str) -> None: ...

    @flow
    def outer() -> None:
        store.submit(day.submit()).result()

    outer()
    assert [event["resource"]["resource.id"] for event in told(reports)] == ["s3://out/wed"]


def test_failed_tasks_and_bare_ones_tell_nothing(reports: Reports) -> None:
    @task(writes=["db://x"])
    def fails() -> None:
        raise ValueError

    @task
    def plain() -> None: ...

    @flow
    def outer() -> None:
        plain()
        fails(return_state=True)

    outer()
    assert plain.moves is None
    assert told(reports) == []


def test_a_template_that_fails_is_no_failure_of_the_task(reports: Reports, capsys: pytest.CaptureFixture[str]) -> None:
    @task(writes=["db://{day.name}"])
    def load(day: str) -> int:
        return 1

    @flow
    def outer() -> int:
        return load("mon")

    assert outer() == 1
    assert told(reports) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"reads": "s3://x"}, "reads is 's3://x': it has to be a list"),
        ({"writes": [""]}, "writes is"),
        ({"writes": ["db://{month}"]}, "names month, which is no parameter"),
        ({"writes": ["db://{"]}, "is no template"),
        ({"reads": [f"x{number}" for number in range(21)]}, "names 21 resources"),
    ],
)
def test_what_names_no_resource_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInput, match=match):

        @task(**options)
        def load(day: str) -> None: ...


def test_options_go_along() -> None:
    @task(writes=["db://x"])
    def load() -> None: ...

    assert load.with_options(name="other").moves == load.moves
