"""A run by hand has no supervisor: what it reports is masked by itself."""

from __future__ import annotations

import logging

import pytest

from orchestrator import flow, get_run_logger, reporting, settings, task
from orchestrator.blocks.secret import Secret
from orchestrator.client import Client

from ..live_api import Api

CANARY = "canary-3b9e"


@task(task_run_name="{word}")
def named(word: str) -> None:
    raise ValueError(word)


@flow
def below(word: str) -> None:
    pass


@flow
def leaks() -> None:
    word = Secret.load("bird").get()
    print(f"printed {word}")
    get_run_logger().warning("logged %s", word)
    logging.getLogger("of.somebody").error("said %s", {"key": word})
    below(word)
    named(word)


def test_pain_13_what_a_run_by_hand_reports_is_masked(api: Api) -> None:
    Secret(value=CANARY).save("bird")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=CANARY):  # the caller has it, as without us
        leaks()
    assert reporting.process_reporter(settings.load()).flush(20)
    client = Client.from_settings()
    runs = list(client.pages("flow-runs"))
    assert {run["flow"]["name"] for run in runs} == {"leaks", "below"}
    [run] = [run for run in runs if run["flow"]["name"] == "leaks"]
    lines = [line["message"] for line in client.pages("logs", {"flow_run_id": run["id"]})]
    assert {"printed ********", "logged ********", "said {'key': '********'}"} <= set(lines)
    assert run["state"]["message"] == "ValueError: ********"
    told = [runs, lines, list(client.pages("task-runs")), list(client.pages("events"))]
    assert CANARY not in str(told)
