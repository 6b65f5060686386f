"""An API for command tests: a real HTTP server that answers from a table and keeps what it was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Api:
    """``answers["GET flow-runs"]`` is the body (or what makes it from the query and body), or ``(status, body)``."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, dict[str, list[str]], Any]] = []

    def answer(self, call: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        self.asked.append((call, query, body))
        found = self.answers.get(call, (404, {"code": "not-found", "message": f"there is no {call}", "errors": {}}))
        if isinstance(found, Callable):  # type: ignore[arg-type]
            found = found(query, body)
        return found if isinstance(found, tuple) else (200, found)

    def calls(self, call: str) -> list[tuple[dict[str, list[str]], Any]]:
        """Query and body of each time that something was asked."""
        return [(query, body) for asked, query, body in self.asked if asked == call]


@contextmanager
def serving() -> Iterator[Api]:
    """The API, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            call = f"{self.command} {parts.path.removeprefix('/api/v1/')}"
            status, data = api.answer(call, parse_qs(parts.query), body)
            sent = b"" if data is None else json.dumps(data).encode()
            self.send_response(204 if data is None else status)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

        def log_message(self, *_: Any) -> None:
            """Tests have their own output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api = Api(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def page(*items: Any) -> dict[str, Any]:
    """A list as the API answers it."""
    return {"items": list(items), "next": None}
