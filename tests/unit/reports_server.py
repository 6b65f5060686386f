"""A small HTTP server that stores reports as the API promises to, and fails on demand."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ReportsServer:
    """Keeps items per producer behind a high-water mark; ``fail`` (called with the body) may answer in its place."""

    def __init__(self, port: int = 0) -> None:
        self.marks: dict[str, int] = {}
        self.items: list[dict[str, Any]] = []
        self.calls = 0
        self.refuse: Callable[[dict[str, Any]], str | None] = lambda item: None
        #: Returns a status to answer with, "close" to drop the connection, or None to behave.
        self.fail: Callable[[dict[str, Any]], int | str | None] = lambda body: None
        self.lose_answers = 0
        self.connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                outer.connections.add(self.connection)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.answer(self, body)

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __enter__(self) -> ReportsServer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        with self._lock:
            self.calls += 1
            failure = self.fail(body)
            if failure == "close":
                handler.close_connection = True
                return
            if isinstance(failure, int):
                self.send(handler, failure, {"code": failure, "message": f"made to answer {failure}"})
                return
            reply = self.store(body)
            if self.lose_answers:
                self.lose_answers -= 1
                handler.close_connection = True
                return
            self.send(handler, 200, reply)

    def store(self, body: dict[str, Any]) -> dict[str, Any]:
        refused = []
        for batch in body["batches"]:
            producer, mark = batch["producer"], self.marks.get(batch["producer"], 0)
            if batch["first"] > mark + 1:
                refused.append(
                    {"producer": producer, "sequence": batch["first"], "code": "gap", "message": "items are missing"}
                )
                continue
            for sequence, item in enumerate(batch["items"], batch["first"]):
                if sequence <= mark:
                    continue
                self.marks[producer] = sequence
                if reason := self.refuse(item):
                    refused.append({"producer": producer, "sequence": sequence, "code": reason, "message": reason})
                else:
                    self.items.append(item)
        wanted = {batch["producer"] for batch in body["batches"]}
        return {"accepted": {name: mark for name, mark in self.marks.items() if name in wanted}, "refused": refused}

    @staticmethod
    def send(handler: BaseHTTPRequestHandler, status: int, reply: Any) -> None:
        data = json.dumps(reply).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)
