"""A whole server for tests: the commands a user types, as subprocesses, in a home of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.client import Client
from orchestrator.settings import load

from .paths import traversable_folder
from .polling import free_port, until

T = TypeVar("T")


class Stack:
    """A running server and the commands against it."""

    def __init__(self, home: Path, port: int, extra: dict[str, str] | None = None) -> None:
        self.home = home
        self.port = port
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")},
            **(extra or {}),
            "ORCHESTRATOR_HOME": str(home),
            "NO_COLOR": "1",
            "COLUMNS": "200",
        }

    @property
    def client(self) -> Client:
        """A client with the key that the first start put into the profile."""
        settings = load(self.environment)
        return Client(settings.api_url, settings.api_key)

    def cli(self, *words: str, cwd: Path | None = None, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run one ``orchestrator`` command to its end."""
        return subprocess.run(
            [*command(), *words], env=self.environment, cwd=cwd, capture_output=True, text=True, timeout=timeout
        )

    def json(self, *words: str, cwd: Path | None = None) -> Any:
        """Run a command with ``--output json``; fails unless it exits 0."""
        done = self.cli(*words, "--output", "json", cwd=cwd)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def process(self, *words: str, cwd: Path | None = None) -> Iterator[Any]:
        """A long-running ``orchestrator`` command; stopped by SIGTERM (then SIGKILL) at the end."""
        with self.program([*command(), *words], words[0], cwd) as process:
            yield process

    @contextmanager
    def program(
        self, words: list[str], name: str, cwd: Path | None = None, env: dict[str, str] | None = None
    ) -> Iterator[Any]:
        """Any long-running program in this stack's environment; its output lies in ``.log``."""
        log = self.home / "test-output" / f"{name}-{time.time_ns()}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                words,
                env={**self.environment, **(env or {})},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process.log = log  # type: ignore[attr-defined]
        try:
            yield process
        finally:
            stop(process)

    @contextmanager
    def agent(self, *queues: str, cwd: Path | None = None, options: tuple[str, ...] = ()) -> Iterator[Any]:
        """An agent on these queues, registered and online."""
        before = {agent["id"] for agent in self.client.pages("agents")}
        words = [word for queue in queues for word in ("-q", queue)]
        with self.process("agent", "start", *words, *options, cwd=cwd) as process:

            def online() -> bool:
                assert process.poll() is None, process.log.read_text()
                now = self.client.pages("agents")
                return any(agent["id"] not in before and agent["status"] == "ONLINE" for agent in now)

            until(online, "the agent to register")
            yield process

    def wait_for_run(self, run_id: str, timeout: float = 60) -> dict[str, Any]:
        """The run, once it is in a terminal state."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.client.get(f"flow-runs/{run_id}")
            return run if run["ended"] else None

        return until(ended, f"run {run_id} to end", timeout)

    def logs(self, run_id: str) -> list[str]:
        """All messages of a run, in order."""
        return [line["message"] for line in self.client.pages("logs", {"flow_run_id": run_id})]


@contextmanager
def running_stack(*options: str, extra: dict[str, str] | None = None) -> Iterator[Stack]:
    """``orchestrator server start`` with embedded services in a folder of its own."""
    with traversable_folder() as home:
        stack = Stack(home, free_port(), extra)
        with stack.process("server", "start", "--port", str(stack.port), *options) as server:

            def ready() -> bool:
                assert server.poll() is None, server.log.read_text()
                return stack.cli("server", "status", "--output", "json").returncode == 0

            until(ready, "the server to be ready", 60)
            yield stack


def stop(process: subprocess.Popen[Any], grace: float = 40) -> int:
    """End a process as a service manager does."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait(10)


def command() -> list[str]:
    """The console script of the interpreter that runs the tests."""
    script = shutil.which("orchestrator", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-m", "orchestrator"]
