"""What ships for tests of flows: recordings, a clock, fixtures. The harness is tried in ``tests/docs``."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from orchestrator import (
    Variable,
    create_markdown_artifact,
    emit_event,
    flow,
    get_run_logger,
    task,
)
from orchestrator.blocks.secret import Secret
from orchestrator.client import Client
from orchestrator.errors import Conflict, NotFound, OrchestratorError
from orchestrator.states import StateType
from orchestrator.testing import FakeClock, fake_clock, recorded


@task
def double(number: int) -> int:
    return 2 * number


@flow(flow_run_name="times {number}")
def doubling(number: int) -> int:
    get_run_logger().info("doubling", extra={"number": number})
    print("printed")
    first = double.submit(number)
    emit_event("number.doubled", "numbers.all", payload={"by": 2})
    create_markdown_artifact("# Done", key="done")
    return double(first.result()) + inner()


@flow
def inner() -> int:
    return 0


def test_all_that_a_flow_reports_is_there_as_objects() -> None:
    with recorded() as seen:
        assert doubling(2) == 8
    run = seen.assert_completed("doubling")
    assert (run.name, run.parameters, run.result) == ("times 2", {"number": 2}, {"value": 8})
    assert [state.name for state in run.states] == ["Running", "Completed"]
    assert seen.flow_run("inner").parent_flow_run_id == run.id
    assert [state.name for state in seen.task_run("double-0").states] == ["Pending", "Running", "Completed"]
    assert {one.flow_run_id for one in seen.task_runs} == {run.id}
    assert seen.messages == ["doubling | number=2", "printed"]
    assert [(line.level, line.logger) for line in seen.logs] == [
        (logging.INFO, "orchestrator.flow_runs"), (logging.INFO, "stdout")
    ]  # fmt: skip
    (event,) = seen.events
    assert (event.event, event.resource["resource.id"], event.payload) == ("number.doubled", "numbers.all", {"by": 2})
    assert event.related[0]["resource.id"] == f"orchestrator.flow-run.{run.id}"
    assert [(one.key, one.type) for one in seen.artifacts] == [("done", "markdown")]
    assert seen.flush(0)


def test_failures_are_seen_and_named() -> None:
    @flow
    def fails() -> None:
        raise ValueError("on purpose")

    with recorded() as seen, pytest.raises(ValueError, match="on purpose"):
        fails()
    assert seen.flow_run().state.type is StateType.FAILED
    with pytest.raises(AssertionError, match="fails is Failed: ValueError: on purpose"):
        seen.assert_completed()
    with pytest.raises(LookupError, match="there are 0 task runs of nothing, not one: none"):
        seen.task_run("nothing")


def test_no_api_is_told_whatever_is_configured(monkeypatch: pytest.MonkeyPatch, reports: object) -> None:
    with recorded() as seen:
        doubling(1)
        emit_event("outside.any", "run")
        with pytest.raises(OrchestratorError, match="GET flows needs a server"):
            Client.from_settings().get("flows")
    assert seen.events[-1].event == "outside.any"
    assert callable(reports)
    assert reports() == []


def test_variables_and_blocks_are_the_recordings_own() -> None:
    with recorded(variables={"limit": 5}) as seen:
        assert Variable.get("limit") == 5
        Variable.set("other", [1])
        assert seen.variables == {"limit": 5, "other": [1]}
        with pytest.raises(NotFound, match="recorded\\(variables="):
            Variable.get("missing")
        assert Variable.get("missing", 3) == 3
        Secret(value="hidden").save("door")  # type: ignore[arg-type]
        assert Secret.load("door").get() == "hidden"
        with pytest.raises(Conflict):
            Secret(value="other").save("door")  # type: ignore[arg-type]
        Secret(value="other").save("door", overwrite=True)  # type: ignore[arg-type]
        assert Secret.load("door").get() == "other"
        Secret.delete_saved("door")
        with pytest.raises(NotFound):
            Secret.load("door")


def test_secrets_are_masked_as_they_would_be() -> None:
    with recorded() as seen:

        @flow
        def tells() -> None:
            get_run_logger().info("it is %s", Secret.load("door").get())

        Secret(value="a-long-secret").save("door")  # type: ignore[arg-type]
        from orchestrator.masking import here

        here.add(["a-long-secret"])
        tells()
    assert "a-long-secret" not in seen.messages[0]


def test_recordings_do_not_mix() -> None:
    with recorded() as outer:
        with recorded() as innermost:
            inner()
        doubling(1)
    assert len(innermost.flow_runs) == 1
    assert [run.flow for run in outer.flow_runs] == ["doubling", "inner"]


def test_waits_before_retries_take_no_time_and_count_for_the_clock() -> None:
    tries: list[int] = []

    @task(retries=2, retry_delay_seconds=[600, 86400])
    def flaky() -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("not yet")

    @flow
    async def waits() -> None:
        await aflaky()
        flaky()

    @task(retries=1, retry_delay_seconds=3600)
    async def aflaky() -> None:
        if not tries:
            tries.append(0)
            raise ValueError("not yet")

    start = datetime(2026, 1, 1, tzinfo=timezone.utc)
    with recorded() as seen, fake_clock(start) as clock:
        asyncio.run(waits())
    assert clock.sleeps == [3600, 600]
    assert seen.flow_run().states[0].at == start
    assert seen.flow_run().state.at == clock.now() == start + timedelta(seconds=4200)
    with pytest.raises(ValueError, match="no time zone"):
        FakeClock(datetime(2026, 1, 1))


def test_with_the_clock_gone_time_is_the_computers() -> None:
    from orchestrator.clock import now

    with fake_clock(datetime(2000, 1, 1, tzinfo=timezone.utc)) as clock:
        clock.advance(1)
        assert now().year == 2000
    assert now().year > 2000


CONFTEST = 'pytest_plugins = ["orchestrator.testing.fixtures"]\n'
TESTS = """
from orchestrator import flow, task

@task(retries=1, retry_delay_seconds=3600)
def flaky(tries=[]):
    tries.append(1)
    assert len(tries) > 1

@flow
def nightly():
    flaky()

def test_it(orchestrator_recording, orchestrator_clock):
    nightly()
    orchestrator_recording.assert_completed("nightly")
    assert orchestrator_clock.sleeps == [3600]
"""


def test_fixtures_work_in_a_project_and_load_nothing_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    check = (
        "\ndef test_light():\n    import sys\n    assert not {'flask', 'sqlalchemy', 'celery'} & sys.modules.keys()\n"
    )
    (tmp_path / "test_project.py").write_text(TESTS + check)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
