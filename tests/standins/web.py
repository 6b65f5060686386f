"""A web server of a folder, by the standard library: index pages, Basic and Bearer logins, refusals."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

LOGINS = {"Basic " + base64.b64encode(b"user:secret").decode(), "Bearer secret"}


class _Handler(http.server.SimpleHTTPRequestHandler):
    protected = False

    def do_GET(self) -> None:
        if self._admitted():
            super().do_GET()

    def do_HEAD(self) -> None:
        if self._admitted():
            super().do_HEAD()

    def _admitted(self) -> bool:
        if self.path.startswith("/private/") and self.headers.get("Authorization") not in LOGINS:
            self.send_error(401)
            return False
        if self.path.startswith("/nohead/") and self.command == "HEAD":
            self.send_error(405)
            return False
        if self.path.startswith("/broken/"):
            self.send_error(500)
            return False
        return True

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def web_server(folder: Path) -> Iterator[str]:
    """Address of a server of a folder. Below ``/private`` it asks for user ``user`` or token ``secret``."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
