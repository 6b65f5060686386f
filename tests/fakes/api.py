"""An API for agents over real HTTP, in memory: what they ask and say is kept for the test to look at."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from orchestrator.clock import now, to_text


class FakeApi:
    """Agents register, claim, beat and report; tests queue jobs and look.

    Attributes:
        broker_url: What a registration answers.
        heartbeat_s, stop_grace_s: Likewise.
        down, reports_down: Answer everything, or reports, with 503.
        key: The key that is right; empty: any.
    """

    def __init__(self) -> None:
        self.broker_url: str | None = None
        self.heartbeat_s = 10.0
        self.stop_grace_s = 2.0
        self.down = self.reports_down = False
        self.refused_reports = 0
        self.key = ""
        self.change = threading.Condition()
        self.jobs: deque[dict[str, Any]] = deque()
        self.agents: dict[str, dict[str, Any]] = {}
        self.stopped: list[str] = []
        self.items: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.beats: list[list[dict[str, Any]]] = []
        self.cancel: list[dict[str, Any]] = []
        self.lost: list[dict[str, Any]] = []
        self.claims = 0
        #: Answers to the next confirmations: (status, code); nothing: 200.
        self.refusals: deque[tuple[int, str]] = deque()
        self.blocks: dict[str, dict[str, Any]] = {}
        #: Statuses of the answers to the next loads of a block.
        self.failures: deque[int] = deque()
        self._marks: dict[str, int] = {}
        self.url = ""

    def queue(self, entrypoint: str, parameters: dict[str, Any] | None = None, **facts: Any) -> tuple[uuid.UUID, int]:
        """Add a job; returns its run's id and attempt."""
        job = {
            "id": str(uuid.uuid4()),
            "attempt": 1,
            "name": "brave-test",
            "flow": "test",
            "state": {"type": "PENDING", "name": "Pending", "message": "", "at": to_text(now()), "details": None},
            "entrypoint": entrypoint,
            "token": "run_token",
            "parameters": parameters or {},
            **facts,
        }
        with self.change:
            self.jobs.append(job)
            self.change.notify_all()
        return uuid.UUID(job["id"]), job["attempt"]

    def wait(self, condition: Callable[[], Any], timeout: float = 20.0) -> Any:
        """Wait until the condition holds; its value."""
        deadline = time.monotonic() + timeout
        with self.change:
            while not (found := condition()):
                left = deadline - time.monotonic()
                assert left > 0, f"waited {timeout} s in vain; last items: {self.items[-5:]}"
                self.change.wait(min(left, 0.1))
            return found

    def end_of(self, run_id: uuid.UUID, timeout: float = 20.0) -> dict[str, Any]:
        """The reported end of a run, once it is there."""
        return self.wait(lambda: self._end_of(str(run_id)), timeout)["state"]

    def _end_of(self, run_id: str) -> dict[str, Any] | None:
        return next((i for i in self.items if i["kind"] == "flow-run-state" and i["id"] == run_id), None)

    def lines(self, run_id: uuid.UUID, logger: str | None = None) -> list[str]:
        """Messages of a run's log, in the order of arrival."""
        found = [i for i in self.items if i["kind"] == "log" and i["flow_run_id"] == str(run_id)]
        return [item["message"] for item in found if logger in (None, item["logger"])]

    def handle(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Answer one call."""
        parts = path.removeprefix("/api/v1/").split("/")
        with self.change:
            try:
                return self._route(method, parts, body)
            finally:
                self.change.notify_all()

    def _route(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:
        if parts == ["agents"]:
            return self._register(body)
        if parts[0] == "agents" and parts[1] not in self.agents:
            return 404, error(404, "not-found", "no such agent")
        if parts[0] == "agents" and method == "DELETE":
            self.stopped.append(parts[1])
            return 204, None
        if parts[0] == "agents" and parts[2] == "heartbeat":
            self.beats.append(body["running"])
            running = [(item["run_id"], item["attempt"]) for item in body["running"]]
            return 200, {
                "cancel": [item for item in self.cancel if (item["run_id"], item["attempt"]) in running],
                "lost": [item for item in self.lost if (item["run_id"], item["attempt"]) in running],
            }
        if parts[0] == "agents" and parts[2] == "claim":
            return self._claim(body)
        if parts[0] == "flow-runs" and parts[2] == "state":
            return self._state(parts[1], body)
        if parts[0] == "blocks" and parts[2] == "load" and self.failures:
            return self.failures.popleft(), error(500, "internal", "failing for the test")
        if parts[0] == "blocks" and parts[2] == "load":
            found = self.blocks.get(parts[1])
            return (200, found) if found else (404, error(404, "not-found", "no such block"))
        if parts == ["reports"]:
            return self._reports(body)
        return 404, error(404, "not-found", "no such path")

    def _register(self, body: Any) -> tuple[int, Any]:
        agent_id = str(uuid.uuid4())
        self.agents[agent_id] = body
        return 201, {
            "agent_id": agent_id,
            "broker_url": self.broker_url,
            "lease_s": 30.0,
            "heartbeat_s": self.heartbeat_s,
            "stop_grace_s": self.stop_grace_s,
        }

    def _claim(self, body: Any) -> tuple[int, Any]:
        self.claims += 1
        deadline = time.monotonic() + body["wait_s"]
        while not (self.jobs and body["queues"]) and (left := deadline - time.monotonic()) > 0:
            cancels = len(self.cancel)
            self.change.wait(min(left, 0.5))
            if len(self.cancel) > cancels:
                return 204, None
        return (200, self.jobs.popleft()) if self.jobs and body["queues"] else (204, None)

    def _state(self, run_id: str, body: Any) -> tuple[int, Any]:
        self.states.append({"id": run_id, **body})
        if self.refusals:
            status, code = self.refusals.popleft()
            return status, error(status, code, "refused")
        return 200, {"id": run_id}

    def _reports(self, body: Any) -> tuple[int, Any]:
        if self.reports_down:
            self.refused_reports += 1
            return 503, error(503, "unavailable", "no reports now")
        accepted = {}
        for batch in body["batches"]:
            mark = self._marks.get(batch["producer"], 0)
            for sequence, item in enumerate(batch["items"], batch["first"]):
                if sequence > mark:
                    assert sequence == mark + 1, "a gap"
                    self.items.append(item)
                    mark = sequence
            self._marks[batch["producer"]] = accepted[batch["producer"]] = mark
        return 200, {"accepted": accepted, "refused": []}


def error(status: int, code: str, message: str) -> dict[str, Any]:
    return {"code": status, "status": code, "message": message, "errors": {}}


@contextmanager
def serve(api: FakeApi, port: int = 0) -> Iterator[FakeApi]:
    """Serve it on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            if api.down:
                status, data = 503, error(503, "unavailable", "down for the test")
            elif api.key and self.headers.get("Authorization") != f"Bearer {api.key}":
                status, data = 401, error(401, "unauthorized", "no such key")
            else:
                status, data = api.handle(self.command, self.path.partition("?")[0], body)
            text = b"" if data is None else json.dumps(data).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_POST = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", port), Handler)
    api.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
