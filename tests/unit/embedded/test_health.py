"""Asking for readiness."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from orchestrator.embedded import health


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/health/ready" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (200, b'{"status": "ready"}', (True, {"status": "ready"})),
        (503, b'{"status": "starting"}', (False, {"status": "starting"})),
        (200, b"<html>another server</html>", (False, None)),
        (200, b"[]", (True, None)),
    ],
)
def test_answers(status: int, body: bytes, expected: tuple[bool, object]) -> None:
    with answering(status, body) as url:
        assert health.ready(url) == expected


def test_no_answer() -> None:
    with answering(200, b"{}") as url:
        pass
    assert health.ready(url, timeout_s=1) == (False, None)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80"),
        ("0.0.0.0", "http://127.0.0.1:80"),
        ("::", "http://[::1]:80"),
        ("::1", "http://[::1]:80"),
        ("tower.example", "http://tower.example:80"),
    ],
)
def test_local_addresses(host: str, url: str) -> None:
    assert health.local_url(host, 80) == url
