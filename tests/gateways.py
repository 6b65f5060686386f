"""A gateway between agents and the API that answers some calls itself, as a broken or a strict one does."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

#: Given method and path, the status to answer with; None: let it pass.
Refuse = Callable[[str, str], int | None]


@dataclass
class Gateway:
    """What it does may be changed while it serves."""

    url: str = ""
    refuse: Refuse = lambda method, path: None
    passed: list[str] = field(default_factory=list)


@contextmanager
def gateway(port: int) -> Iterator[Gateway]:
    """A gateway to the API on a port of this computer."""
    found = Gateway()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = found.refuse(self.command, self.path)
            if status is not None:
                answer = {"code": status, "status": "refused", "message": "refused by the gateway", "errors": {}}
                self._answer(status, json.dumps(answer).encode())
                return
            found.passed.append(self.path)
            onward = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {
                name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")
            }
            try:
                onward.request(self.command, self.path, body, headers)
                answered = onward.getresponse()
                self._answer(answered.status, answered.read())
            except OSError:
                self._answer(502, b"{}")
            finally:
                onward.close()

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_DELETE = _handle

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
