"""``orchestrator task serve``: which tasks, told to whom, on which queues."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import agent

from ...polling import one_line
from .api import Api
from .conftest import Cli

TASKS = """
from orchestrator import flow, task

@task(name="bill")
def owes(customer: str, amount: float = 0.0) -> str:
    '''Ask for money.'''
    return customer

@flow
def shop():
    pass
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    (folder / "jobs").mkdir(parents=True)
    (folder / "jobs" / "__init__.py").touch()
    (folder / "jobs" / "money.py").write_text(TASKS)
    monkeypatch.chdir(folder)
    return folder


def test_the_server_is_told_and_an_agent_starts(
    cli: Cli, api: Api, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[dict[str, Any]] = []
    monkeypatch.setattr(agent.start, "callback", lambda **options: started.append(options))
    api.answers["POST deployments"] = (201, {"deployment": {}, "created": True, "changes": []})
    done = cli("task", "serve", f"{project}:jobs/money.py:owes", "jobs/money.py:owes", "--limit", "3")
    assert done.code == 0, done.err
    assert done.err.splitlines() == ["serving bill from jobs/money.py:owes", "serving bill from money.py:owes"]
    told = api.calls("POST deployments")[0][1]
    assert (told["flow"], told["name"], told["work_queue"]) == ("task.bill", "background", "task.bill")
    assert told["storage"] == {"block": None, "path": str(project), "snapshot": None}
    assert told["description"] == "Ask for money."
    assert [*told["parameter_schema"]["properties"]] == ["customer", "amount"]
    (options,) = started
    asked = {"queues": ("task.bill",), "limit": 3, "transport": "redis", "name": ""}
    assert {name: options[name] for name in asked} == asked


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("jobs/money.py", "names no task: write FILE:TASK"),
        ("jobs/money.py:shop", "is a flow"),
        ("jobs/money.py:nothing", "nothing is not there"),
        ("jobs/other.py:owes", "there is no folder or file"),
    ],
)
def test_what_is_no_task_is_refused_before_anything_is_told(
    cli: Cli, api: Api, project: Path, target: str, said: str
) -> None:
    done = cli("task", "serve", target)
    assert done.code == 2
    assert said in one_line(done.err)
    assert api.calls("POST deployments") == []
