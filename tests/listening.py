"""An HTTP server in the test's own process, of which nothing is left over when it is closed."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from werkzeug.serving import ThreadedWSGIServer


class Listener(ThreadedWSGIServer):
    """Closing it waits for the requests that are being answered.

    The threads of werkzeug's own server go on for a while, and hold connections of a database that is dropped by then.
    """

    daemon_threads = False  # server_close() joins no others

    def __init__(self, app: Any, port: int = 0) -> None:
        self._open: set[socket.socket] = set()
        super().__init__("127.0.0.1", port, app)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        # Who keeps a connection for later requests is told that there will be none; answers under way are sent.
        for connection in [*self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        super().server_close()
