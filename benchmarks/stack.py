"""A server for benchmarks: a home of its own, every part as users have it, and an agent if one is wanted."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.client import Client
from orchestrator.errors import OrchestratorError
from orchestrator.settings import load

_READY_S = 180.0
_TREE = str(Path(__file__).resolve().parent.parent)


@dataclass(frozen=True)
class Stack:
    """A running server."""

    home: Path
    api_url: str
    api_key: str
    environment: dict[str, str]
    #: What runs it, and how that is started again.
    process: list[subprocess.Popen[bytes]]
    again: Callable[[], subprocess.Popen[bytes]]

    @property
    def pid(self) -> int:
        """The process whose children are all parts."""
        return self.process[-1].pid

    def flow_environment(self) -> dict[str, str]:
        """The environment of a process that runs flows by hand and reports here."""
        return {**self.environment, "ORCHESTRATOR_API_URL": self.api_url, "ORCHESTRATOR_API_KEY": self.api_key}

    def kill(self) -> None:
        """Kill it, as a power cut would; its parts go with it."""
        self.process[-1].kill()
        self.process[-1].wait()

    def start(self) -> None:
        """Start it again on the same data and port, and wait until it is ready."""
        self.process.append(self.again())
        _await_ready(self.process[-1], self.environment, self.home)

    def client(self) -> Client:
        """A client with an admin key."""
        return Client(self.api_url, self.api_key)


@contextmanager
def running(queues: Sequence[str] = (), settings: dict[str, str] | None = None) -> Iterator[Stack]:
    """Start ``orchestrator server start`` (with an agent on ``queues``, if any) and wait until all is ready.

    Args:
        queues: Work queues of the agent.
        settings: Further settings, without prefix, such as ``{"API_WORKERS": "4"}``. DATABASE_URL and REDIS_URL
            switch from the embedded services to others.

    Raises:
        RuntimeError: It was not ready within three minutes; the text is its output.
    """
    with ExitStack() as leaving:
        home = Path(tempfile.mkdtemp(prefix="orchestrator-bench-"))
        leaving.callback(shutil.rmtree, home, ignore_errors=True)
        home.chmod(0o755)  # the embedded services may run as another user
        environment = _environment(home, settings or {})
        words = ["server", "start", "--port", str(_free_port())]
        if queues:
            words += ["--agent", *(word for queue in queues for word in ("-q", queue))]
        log = leaving.enter_context((home / "bench.log").open("wb"))

        def launch() -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", *words],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            leaving.callback(_stop, process)
            return process

        process = launch()
        _await_ready(process, environment, home)
        found = load(environment)
        if queues:
            _await_agent(Client(found.api_url, found.api_key))
        yield Stack(home, found.api_url, found.api_key, environment, [process], launch)


def _environment(home: Path, settings: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
    own = {f"ORCHESTRATOR_{name}": value for name, value in settings.items()}
    paths = filter(None, [_TREE, os.environ.get("PYTHONPATH")])
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), **own, "ORCHESTRATOR_HOME": str(home)}


def _await_ready(process: subprocess.Popen[bytes], environment: dict[str, str], home: Path) -> None:
    status = [sys.executable, "-m", "orchestrator", "server", "status", "--output", "json"]
    deadline = time.monotonic() + _READY_S
    while subprocess.run(status, env=environment, capture_output=True).returncode != 0:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError((home / "bench.log").read_text("utf-8", "replace"))
        time.sleep(0.1)


def _await_agent(client: Client) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        try:
            if any(agent["status"] == "ONLINE" for agent in client.pages("agents")):
                return
        except OrchestratorError:
            pass
        time.sleep(0.1)
    raise RuntimeError("no agent came online within three minutes")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
