"""The README's first command, as a newcomer types it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestrator.client import Client
from orchestrator.settings import load

from ..paths import traversable_folder
from ..polling import free_port, until
from ..stack import Stack


def processes_of(home: Path) -> list[str]:
    """Processes that were started with this home, or that name it in their command."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            mine = process.environ().get("ORCHESTRATOR_HOME") == str(home) or any(str(home) in word for word in words)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
        if mine and process.pid != os.getpid():
            found.append(" ".join(words))
    return found


def assert_nobody_was_killed(stack: Stack) -> None:
    """All parts ended as they were asked to."""
    assert "was killed" not in (stack.home / "logs" / "server.log").read_text()
    assert "is stopped" in (stack.home / "logs" / "agent.log").read_text()


def test_quickstart_runs_both_ways_and_leaves_nothing() -> None:
    with traversable_folder() as home:
        stack = Stack(home, free_port())
        with stack.process("quickstart", "--port", str(stack.port)) as quickstart:

            def both_completed() -> list[dict[str, Any]] | None:
                assert quickstart.poll() is None, quickstart.log.read_text()
                settings = load(stack.environment)
                if not settings.api_key:
                    return None
                try:
                    client = Client(settings.api_url, settings.api_key)
                    runs = list(client.pages("flow-runs", {"state_type": "COMPLETED"}))
                except Exception:  # the server is still coming up
                    return None
                deployed = [run for run in runs if run["deployment"]]
                return deployed if len(deployed) >= 2 else None

            runs = until(both_completed, "both runs to complete", 120, quickstart.log)
            assert {run["created_by"]["type"] for run in runs} == {"api-key", "schedule"}

            run = next(run for run in runs if run["created_by"]["type"] == "api-key")
            (subflow,) = stack.client.get("flow-runs", params={"parent_flow_run_id": run["id"]})["items"]
            artifacts = stack.client.get("artifacts", params={"flow_run_id": subflow["id"]})["items"]
            assert any("| HOU |" in str(artifact["data"]) for artifact in artifacts)
            assert len(stack.logs(run["id"])) > 3

            until(lambda: "/login?token=" in quickstart.log.read_text(), "the dashboard's link")
            quickstart.send_signal(signal.SIGINT)
            assert quickstart.wait(60) == 0, quickstart.log.read_text()
            assert_nobody_was_killed(stack)
        until(lambda: not processes_of(home), f"no process to be left: {processes_of(home)}", 10)


def test_quickstart_exit_ends_by_itself() -> None:
    with traversable_folder() as home:
        stack = Stack(home, free_port())
        done = stack.cli("quickstart", "--exit", "--port", str(stack.port), timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("COMPLETED") >= 2
        until(lambda: not processes_of(home), f"no process to be left: {processes_of(home)}", 10)
        assert_nobody_was_killed(stack)
        again = stack.cli("quickstart", "--exit", "--port", str(stack.port), timeout=180)
        assert again.returncode == 0, again.stdout + again.stderr


def can_be_nobody() -> bool:
    """Whether this interpreter may be run by somebody else (one below a closed home may not)."""
    if os.geteuid() != 0:
        return False
    words = [sys.executable, "-c", "import orchestrator"]
    try:
        return subprocess.run(words, user=65534, group=65534, extra_groups=[], cwd="/", check=False).returncode == 0
    except PermissionError:
        return False


@pytest.mark.skipif(not can_be_nobody(), reason="not root, or an interpreter that only root can run")
def test_quickstart_as_a_normal_user() -> None:
    with traversable_folder() as home:
        stack = Stack(home, free_port())
        os.chown(home, 65534, 65534)
        words = ["--exit", "--port", str(stack.port)]
        done = subprocess.run(
            [sys.executable, "-m", "orchestrator", "quickstart", *words],
            env={**stack.environment, "HOME": str(home)},
            cwd=home,
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=180,
        )
        assert done.returncode == 0, done.stdout + done.stderr
