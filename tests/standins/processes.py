"""Starting a server as a process, and waiting until it answers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..polling import until

HERE = Path(__file__).parent


@contextmanager
def serving(command: Sequence[str], port: int, cwd: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on ``port`` as long as the ``with`` lasts; what it says is shown where it does not."""
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        # In a session of its own: some servers end their whole process group.
        process = subprocess.Popen(
            [*command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            until(lambda: process.poll() is not None or answers(port), f"{command[0]} to listen", 60, Path(log.name))
            assert process.poll() is None, Path(log.name).read_text()
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def answers(port: int) -> bool:
    """Whether something listens on a port of this computer."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
