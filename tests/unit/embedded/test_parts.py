"""The table of parts."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.embedded import parts
from orchestrator.settings import Settings

AROUND = parts.Surroundings(
    home=Path("/home/x"),
    host="127.0.0.1",
    port=4200,
    api_url="http://127.0.0.1:4200",
    api_key="orc_key",
    database_url="postgresql://u:p@h/d",
    redis_url="redis://:p@h/0",
    secret_key="secret",
)


def test_an_agent_only_when_it_has_queues() -> None:
    assert [part.name for part in parts.table(Settings(), AROUND)] == ["api", "services", "beat"]
    table = parts.table(Settings(), AROUND, ["duck", "goose"])
    assert [part.name for part in table] == ["api", "services", "beat", "agent"]
    assert list(table[-1].argv)[-6:] == ["agent", "start", "-q", "duck", "-q", "goose"]


def test_the_agent_may_use_up_its_stop_grace_before_it_is_killed() -> None:
    settings = replace(Settings(), stop_grace=timedelta(minutes=2))
    assert parts.agent(settings, AROUND, ["duck"]).grace_s > 120 + 10


def test_the_server_is_told_everything() -> None:
    for part in parts.table(Settings(), AROUND):
        told = part.environment({"PATH": "/bin"})
        assert told["ORCHESTRATOR_DATABASE_URL"] == AROUND.database_url
        assert told["ORCHESTRATOR_REDIS_URL"] == AROUND.redis_url
        assert told["ORCHESTRATOR_SECRET_KEY"] == "secret"
        assert told["ORCHESTRATOR_PORT"] == "4200"
        assert told["PATH"] == "/bin"


def test_the_agent_is_told_the_api_alone() -> None:
    base = {f"ORCHESTRATOR_{name}": "x" for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "LOG_LEVEL")}
    told = parts.agent(Settings(), AROUND, ["duck"]).environment(base)
    ours = {name: value for name, value in told.items() if name.startswith("ORCHESTRATOR_")}
    assert ours == {
        "ORCHESTRATOR_HOME": "/home/x",
        "ORCHESTRATOR_API_URL": AROUND.api_url,
        "ORCHESTRATOR_API_KEY": "orc_key",
        "ORCHESTRATOR_LOG_LEVEL": "x",
    }


def test_no_secret_stands_on_a_command_line() -> None:
    words = [word for part in parts.table(Settings(), AROUND, ["duck"]) for word in part.argv]
    for secret in (AROUND.api_key, AROUND.secret_key, AROUND.database_url, AROUND.redis_url):
        assert not any(secret in word for word in words)


@pytest.mark.parametrize(("host", "bind"), [("0.0.0.0", "0.0.0.0:4200"), ("::1", "[::1]:4200")])
def test_the_api_listens_where_it_is_told(host: str, bind: str) -> None:
    argv = parts.api(Settings(api_workers=3, api_threads=7), replace(AROUND, host=host)).argv
    assert {f"--bind={bind}", "--workers=3", "--threads=7", "--worker-class=gthread"} <= set(argv)


def test_relative_module_paths_hold_in_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    base = parts.base_environment({"PYTHONPATH": f".{os.pathsep}/lib", "HOME": "/h"})
    assert base == {"PYTHONPATH": f"{tmp_path}{os.pathsep}/lib", "HOME": "/h"}
