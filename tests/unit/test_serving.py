"""Tasks that are served from Python."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from orchestrator import serve, task
from orchestrator.errors import FailedRun, InvalidInput, SettingsError
from orchestrator.serving import target

from ..polling import free_port
from . import runner_tasks as do


def test_a_task_is_named_from_where_its_module_counts() -> None:
    root = Path(__file__).resolve().parents[2]
    assert target(do.add) == f"{root}:tests/unit/runner_tasks.py:add"


def test_what_cannot_be_served_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="ORCHESTRATOR_API_URL"):
        serve(do.add)
    for wrong in ((), (do.below,), (len,)):
        with pytest.raises(InvalidInput, match="serve takes tasks"):
            serve(*wrong)
    monkeypatch.setenv("ORCHESTRATOR_API_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(InvalidInput, match="top of a module"):
        serve(task(name="local")(lambda: None))


def test_a_server_that_is_not_there_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "served_jobs.py").write_text("from orchestrator import task\n\n@task\ndef work():\n    pass\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("ORCHESTRATOR_API_URL", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(FailedRun, match="exit code 1"):
        serve(importlib.import_module("served_jobs").work)
