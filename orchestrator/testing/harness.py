"""A whole server for tests: embedded Postgres and Redis, API, beat and services, in a home of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from .. import reporting, settings
from ..client import Client
from ..errors import OrchestratorError, Unavailable

T = TypeVar("T")

#: Seconds that the server may take to start, and to stop.
START, STOP = 120.0, 60.0


class Harness:
    """A running server that nobody else uses; its data are gone when it stops.

    Attributes:
        home: Its home folder; logs of its parts lie below.
        api_url: Its address.
        api_key: A key that may do everything.
        environment: Environment for programs that shall speak to it.
    """

    def __init__(self, home: Path, api_url: str, api_key: str, environment: dict[str, str]) -> None:
        self.home, self.api_url, self.api_key, self.environment = home, api_url, api_key, environment

    @property
    def client(self) -> Client:
        """A client of its API."""
        return Client(self.api_url, self.api_key)

    def flush(self, timeout: float = 30.0) -> None:
        """Wait until it has all that flows of this process reported. Raises Unavailable after ``timeout`` seconds."""
        if not reporting.process_reporter(settings.load()).flush(timeout):
            raise Unavailable(f"the reports of this process did not arrive within {timeout:g} s")

    def wait_for_run(self, run_id: object, timeout: float = 60.0) -> dict[str, Any]:
        """The flow run, once it has ended. Raises Unavailable when it has not after ``timeout`` seconds."""

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = self.client.get(f"flow-runs/{run_id}")
            return run if run["ended"] else None

        return _until(ended, f"run {run_id} to end", timeout)

    def logs(self, run_id: object) -> list[str]:
        """The messages of a run's log, in their order."""
        return [line["message"] for line in self.client.pages("logs", {"flow_run_id": str(run_id)})]

    def cli(self, *words: str, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run an ``orchestrator`` command against it to its end."""
        return subprocess.run(
            [sys.executable, "-m", "orchestrator", *words],
            env=self.environment, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip


_lock = threading.Lock()
_running: list[Harness] = []


@contextmanager
def orchestrator_test_harness(
    queues: Sequence[str] = (), extra_settings: Mapping[str, str] | None = None
) -> Iterator[Harness]:
    """Run a server of the tests' own, and have this process report to it while the ``with`` lasts.

    It takes a few seconds to start, so wrap a whole session in it; inside of another one it gives that one. The
    settings of whoever runs the tests do not matter meanwhile. Linux and macOS only, like the server.

    Args:
        queues: Work queues of an agent beside it; none: no agent.
        extra_settings: Further settings of the server, such as ``{"LEASE": "5s"}``.

    Raises:
        Unavailable: It did not start; the text is what it said.
    """
    with _lock:
        outer = _running[-1] if _running else None
    if outer is not None:
        yield outer
        return
    with ExitStack() as leaving:
        found = leaving.enter_context(_server(queues, extra_settings or {}))
        leaving.enter_context(_environment(found))
        _running.append(found)
        leaving.callback(_running.remove, found)
        yield found


@contextmanager
def _environment(found: Harness) -> Iterator[None]:
    """Point this process to the server; its reports are delivered before the server stops."""
    before = {name: value for name, value in os.environ.items() if name.startswith(settings.PREFIX)}
    mine = {"HOME": str(found.home), "API_URL": found.api_url, "API_KEY": found.api_key}

    def become(values: Mapping[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith(settings.PREFIX)]:
            del os.environ[name]
        os.environ.update(values)

    become({settings.PREFIX + name: value for name, value in mine.items()})
    try:
        yield
    finally:
        reporting.finish(10.0)
        become(before)


@contextmanager
def _server(queues: Sequence[str], extra: Mapping[str, str]) -> Iterator[Harness]:
    with ExitStack() as leaving:
        home = Path(tempfile.mkdtemp(prefix="orchestrator-test-"))
        leaving.callback(shutil.rmtree, home, ignore_errors=True)
        home.chmod(0o755)  # the embedded services may run as another user
        kept = {name: value for name, value in os.environ.items() if not name.startswith(settings.PREFIX)}
        own = {settings.PREFIX + name: value for name, value in extra.items()}
        environment = {**kept, **own, settings.PREFIX + "HOME": str(home)}
        words = ["server", "start", "--port", str(_free_port())]
        if queues:
            words += ["--agent", *(word for queue in queues for word in ("-q", queue))]
        log = leaving.enter_context((home / "harness.log").open("wb"))
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *words],
            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        leaving.callback(_stop, process)
        found = _ready(process, home, environment)
        if queues:
            _until(lambda: _online(found.client), "its agent", START)
        yield found


def _ready(process: subprocess.Popen[bytes], home: Path, environment: dict[str, str]) -> Harness:
    def ready() -> Harness | None:
        if process.poll() is not None:
            raise Unavailable(f"the server ended: {(home / 'harness.log').read_text('utf-8', 'replace').strip()}")
        with contextlib.suppress(OrchestratorError):
            known = settings.load(environment)
            if known.api_url and Client(known.api_url, known.api_key, timeout=2.0, retries=0).get("flows") is not None:
                return Harness(home, known.api_url, known.api_key, environment)
        return None

    return _until(ready, "the server", START)


def _online(client: Client) -> bool:
    with contextlib.suppress(OrchestratorError):
        return any(agent["status"] == "ONLINE" for agent in client.pages("agents"))
    return False


def _until(look: Callable[[], T | None], what: str, timeout: float) -> T:
    deadline = time.monotonic() + timeout
    while True:
        if found := look():
            return found
        if time.monotonic() > deadline:
            raise Unavailable(f"waited {timeout:g} s for {what}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
