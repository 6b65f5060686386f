"""A server and agents as processes, on the test's own database, for tests of what agents do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import redis

from orchestrator.client import Client
from orchestrator.clock import now
from orchestrator.errors import OrchestratorError
from orchestrator.server.db.session import transaction
from orchestrator.server.services.identity import keys
from orchestrator.workers.agent import processes

from .polling import free_port, until

FLOWS = """
import os, signal, subprocess, time
from pathlib import Path
from orchestrator import flow, get_run_logger, task

@task
def double(x):
    return 2 * x

@flow
def adds(x: int = 1) -> int:
    print("adding", x)
    get_run_logger().info("logged")
    return double(x) + 1

@flow
def marks(path: str):
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\\n")

@flow
def is_held(path: str, release: str):
    Path(path).touch()
    while not os.path.exists(release):
        time.sleep(0.02)

@flow
def leaves():
    for number in range(1000):
        print(f"line {number}")
    os._exit(1)

@flow
def is_killed():
    os.kill(os.getpid(), signal.SIGKILL)

@flow
def stubborn(pids: str):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    inside = subprocess.Popen(["sleep", "600"])
    outside = subprocess.Popen(["sleep", "600"], start_new_session=True)
    Path(pids + ".tmp").write_text(f"{os.getpid()} {inside.pid} {outside.pid}")
    Path(pids + ".tmp").rename(pids)
    while True:
        time.sleep(60)

@flow(timeout_seconds=1)
def takes_too_long(pids: str):
    Path(pids).write_text(str(os.getpid()))
    while True:
        time.sleep(60)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    facts = processes.look(pid)
    return facts is None or facts[2] in "ZX"


def read_pids(path: Path) -> list[int]:
    """The process ids that a flow wrote down."""
    until(path.exists, what=str(path))
    return [int(pid) for pid in until(lambda: path.read_text().split())]


class System:
    """The processes, and a client with an admin's key."""

    def __init__(self, folder: Path, database_url: str, redis_url: str, settings: dict[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.queue = f"test-{time.time_ns()}"
        with transaction() as session:
            key = keys.create(session, "admin", "admin", now())[1]
            self.agent_key = keys.create(session, "agents", "agent", now())[1]
        url = f"http://127.0.0.1:{self.port}"
        self.client = Client(url, key)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ORCHESTRATOR_")}
        root = str(Path(__file__).parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self._common = {**inherited, "PYTHONPATH": path, "ORCHESTRATOR_HOME": str(folder / "home")}
        self._server = {
            **self._common,
            "ORCHESTRATOR_DATABASE_URL": database_url,
            "ORCHESTRATOR_REDIS_URL": redis_url,
            "ORCHESTRATOR_SECRET_KEY": "a secret of the tests",
            "ORCHESTRATOR_PORT": str(self.port),
            **settings,
        }
        self._agent = {
            **self._common,
            "ORCHESTRATOR_HOME": str(folder / "agent-home"),
            "ORCHESTRATOR_API_URL": url,
            "ORCHESTRATOR_API_KEY": self.agent_key,
        }
        self.redis = redis.Redis.from_url(redis_url)
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "flows.py").write_text(FLOWS)

    @contextmanager
    def process(self, name: str, *words: str, env: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
        """A program of Python; stopped at the end."""
        with (self.folder / f"{name}-{time.time_ns()}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                env=env,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(3)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGTERM)
                    try:
                        process.wait(20)
                    except subprocess.TimeoutExpired:
                        os.killpg(process.pid, signal.SIGKILL)
                        process.wait()

    @contextmanager
    def server(self) -> Iterator[None]:
        """The API and the services."""
        bind = f"--bind=127.0.0.1:{self.port}"
        options = [bind, "--worker-class=gthread", "--threads=24", "--keep-alive=75", "--log-level=warning"]
        app = "orchestrator.server.app:create_app()"
        with ExitStack() as stack:
            api = stack.enter_context(self.process("api", "gunicorn", *options, app, env=self._server))
            stack.enter_context(self.process("services", "orchestrator.workers.services", env=self._server))

            def answers() -> bool:
                assert api.poll() is None, self.logs()
                try:
                    self.client.get("flows")
                except OrchestratorError:
                    return False
                return True

            until(answers, what="the API")
            yield

    @staticmethod
    def start(*options: str) -> list[str]:
        """The words that start an agent, for :meth:`process`."""
        return ["orchestrator", "agent", "start", *options]

    @contextmanager
    def agent(self, *options: str) -> Iterator[subprocess.Popen[bytes]]:
        """An agent that has registered."""
        before = len(self.client.get("agents")["items"])
        words = self.start("-q", self.queue, *options)
        with self.process("agent", *words, env=self._agent) as process:

            def online() -> bool:
                assert process.poll() is None, self.logs()
                return len(self.client.get("agents")["items"]) > before

            until(online, what="the agent")
            yield process

    def logs(self) -> str:
        """What the processes wrote."""
        return "\n".join(f"== {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def document(self, flow: str) -> dict[str, Any]:
        """The document of a deployment of one of :data:`FLOWS`."""
        return {
            "flow": flow,
            "name": "test",
            "entrypoint": f"flows.py:{flow}",
            "storage": {"path": str(self.project)},
            "work_queue": self.queue,
        }

    def deploy(self, flow: str) -> str:
        """A deployment of one of :data:`FLOWS`; its id."""
        applied: dict[str, Any] = self.client.post("deployments", self.document(flow))
        return str(applied["deployment"]["id"])

    def run(self, deployment: str, **parameters: Any) -> str:
        """Start a run; its id."""
        return str(self.client.post(f"deployments/{deployment}/runs", {"parameters": parameters})["id"])

    def end_of(self, run_id: str, timeout: float = 30.0) -> dict[str, Any]:
        """The run, once it has ended."""

        def ended() -> Any:
            run = self.client.get(f"flow-runs/{run_id}")
            return run if run["ended"] else None

        run: dict[str, Any] = until(ended, f"the end of {run_id}: {self.client.get(f'flow-runs/{run_id}')}", timeout)
        return run

    def lines(self, run_id: str) -> list[str]:
        """Messages of its log."""
        return [item["message"] for item in self.client.pages("logs", {"flow_run_id": run_id, "limit": 200})]


@contextmanager
def system(folder: Path, database_url: str, redis_url: str, **settings: str) -> Iterator[System]:
    """A running server; ``settings`` are more variables of its environment."""
    found = System(folder, database_url, redis_url, settings)
    with found.server():
        yield found
    found.redis.close()
