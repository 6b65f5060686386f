"""Events that code emits."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from orchestrator import emit_event, flow, task
from orchestrator.errors import InvalidInput

Reports = Callable[..., list[dict[str, Any]]]


def test_an_event_knows_its_run(reports: Reports) -> None:
    before = uuid.uuid4()

    @task
    def loads() -> uuid.UUID:
        return emit_event(
            "table.loaded",
            {"resource.id": "warehouse.orders", "kind": "table"},
            related=["warehouse", {"resource.id": "bucket", "resource.role": "source"}],
            payload={"rows": 3},
            occurred=datetime(2026, 1, 2, tzinfo=timezone.utc),
            follows=before,
        )

    @flow
    def outer() -> uuid.UUID:
        return loads()

    identifier = outer()
    event = reports("event")[0]["event"]
    assert event["id"] == str(identifier)
    assert event["occurred"] == "2026-01-02T00:00:00.000000Z"
    assert event["resource"] == {"resource.id": "warehouse.orders", "kind": "table"}
    assert [one.get("resource.role") for one in event["related"]] == [None, "source", "flow-run", "task-run"]
    assert event["related"][2]["resource.id"] == f"orchestrator.flow-run.{reports('flow-run')[0]['id']}"
    assert (event["payload"], event["follows"]) == ({"rows": 3}, str(before))


def test_events_outside_of_runs_go_to_the_configured_api(reports: Reports) -> None:
    emit_event("door.opened", "door.front")
    assert reports("event")[0]["event"]["related"] == []


def test_without_an_api_nothing_happens() -> None:
    assert emit_event("door.opened", "door.front").version == 7


@pytest.mark.parametrize(
    ("arguments", "options", "names"),
    [
        (("", "x"), {}, "event"),
        (("a", ""), {}, "resource"),
        (("a", {"name": "x"}), {}, "resource.id"),
        (("a", "x"), {"related": [{}]}, "related"),
        (("a", "x"), {"occurred": datetime(2026, 1, 1)}, "occurred"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, options: Any, names: str) -> None:
    with pytest.raises(InvalidInput, match=names):
        emit_event(*arguments, **options)
