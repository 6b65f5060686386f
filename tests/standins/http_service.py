"""An HTTP server in a thread, and what it was asked: the ground of the stand-ins that speak HTTP."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes

    @property
    def media_type(self) -> str:
        return self.headers.get_content_type() if self.headers["Content-Type"] else ""

    def json(self) -> Any:
        """The body's JSON; a request whose content type says otherwise, or that is none, is refused."""
        if self.media_type != "application/json":
            raise Refused(415, {"message": f"Content-Type is {self.media_type!r}"})
        try:
            return json.loads(self.body)
        except ValueError:
            raise Refused(400, {"message": "invalid JSON"}) from None

    def form(self) -> dict[str, str]:
        """The body's form."""
        if self.media_type != "application/x-www-form-urlencoded":
            raise Refused(415, {"message": f"Content-Type is {self.media_type!r}"})
        return {key: values[0] for key, values in parse_qs(self.body.decode(), keep_blank_values=True).items()}


class Refused(Exception):
    """Answers a request with an error: JSON, or a plain text."""

    def __init__(self, status: int, body: Any = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.answer = (status, body, headers or {})


class HttpService:
    """A service on a port of its own. Subclasses say how it answers; use it with ``with``."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Request] = []
        #: Answers to give before any of its own: ``(status, body, headers)``.
        self.faults: deque[tuple[int, Any, dict[str, str]]] = deque()
        self._links: set[socket.socket] = set()
        self._lock = threading.Lock()

    def answer(self, request: Request) -> Any:
        """What to answer with status 200: JSON, a text, None (204), or ``(status, body)``. Refused: an error."""
        raise NotImplementedError

    def failing(self, status: int, body: Any = "", times: int = 1, **headers: str) -> None:
        """Answer the next requests with an error."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        self.faults.extend([(status, body, fields)] * times)

    def __enter__(self) -> Any:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                service._links.add(self.request)
                super().setup()

            def finish(self) -> None:
                service._links.discard(self.request)
                super().finish()

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    pass  # the client went away, or the service was stopped

            def log_message(self, *words: Any) -> None:
                pass

            def do(self) -> None:
                status, body, headers = service._answer(self)
                content = body if isinstance(body, bytes) else _encoded(body)
                self.send_response(status)
                if content and "Content-Type" not in headers:
                    kind = "text/plain; charset=utf-8" if isinstance(body, (str, bytes)) else "application/json"
                    self.send_header("Content-Type", kind)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD" and status != 204:
                    self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if self._tls:
            self._server.socket = self._tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"http{'s' if self._tls else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        for link in list(self._links):
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, Any, dict[str, str]]:
        parts = urlsplit(handler.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler.command, unquote(parts.path), query, handler.headers, body)
        with self._lock:  # one at a time: what it keeps needs no locks then
            self.requests.append(request)
            if self.faults:
                return self.faults.popleft()
            try:
                found = self.answer(request)
            except Refused as error:
                return error.answer
        if isinstance(found, tuple):
            return found[0], found[1], found[2] if len(found) > 2 else {}
        return (204, b"", {}) if found is None else (200, found, {})


def _encoded(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
