"""Where cached results are found by their keys: the server; without one, files on this computer."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from .. import serializers
from ..client import Client, patiently
from ..clock import from_text, now, to_text
from ..errors import NotFound, OrchestratorError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Seconds for which a lock is held without a sign of life, and between two signs.
LEASE, RENEWAL = 30.0, 10.0


class CacheStore(Protocol):
    """Keeps what was computed, by key."""

    def get(self, key: str) -> dict[str, Any] | None:
        """The record of a key: its ``result``, and where it comes from; None: there is none, or it has expired."""

    def put(self, key: str, record: dict[str, Any], lock: str) -> None:
        """Keep a record: ``{"key", "task_key", "result", "expires_in_s", "flow_run_id", "task_run_id"}``. Gives
        ``lock`` back, where it is not empty."""

    def lock(self, key: str, holder: str) -> bool:
        """Take the lock of a key; False while somebody else has it. It is held until it is given back, or its holder
        dies."""

    def unlock(self, key: str, holder: str) -> None:
        """Give a lock back."""


class ServerStore:
    """Records and locks on the server. A lock is a lease, which a thread of this process renews."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def get(self, key: str) -> dict[str, Any] | None:
        """See :class:`CacheStore`."""
        try:
            found: dict[str, Any] = self._client.get(f"cached-results/{key}")
        except NotFound:
            return None
        return found

    def put(self, key: str, record: dict[str, Any], lock: str) -> None:
        """See :class:`CacheStore`."""
        _held.pop((key, lock), None)
        self._client.put(f"cached-results/{key}", {**record, "lock": lock or None})

    def lock(self, key: str, holder: str) -> bool:
        """See :class:`CacheStore`. Waits while the API is away: nobody must compute at the same time."""
        if not patiently(lambda: self._ask(key, holder)):
            return False
        _keep_up((key, holder), lambda: self._ask(key, holder, renew=True))
        return True

    def unlock(self, key: str, holder: str) -> None:
        """See :class:`CacheStore`."""
        _held.pop((key, holder), None)
        self._client.delete(f"cached-results/{key}/lock", {"holder": holder})

    def _ask(self, key: str, holder: str, renew: bool = False) -> bool:
        body = {"holder": holder, "lease_s": LEASE, "renew": renew}
        answer = self._client.put(f"cached-results/{key}/lock", body)
        return bool(answer["granted"])


class FileStore:
    """Records and locks below a folder of this computer; a lock ends with its process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}

    def get(self, key: str) -> dict[str, Any] | None:
        """See :class:`CacheStore`."""
        try:
            found: dict[str, Any] = serializers.loads((self._folder / f"{key}.json").read_bytes())
            expires = found["expires"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return None if expires is not None and from_text(expires) <= now() else found

    def put(self, key: str, record: dict[str, Any], lock: str) -> None:
        """See :class:`CacheStore`."""
        expires = _after(record["expires_in_s"])
        path = self._folder / f"{key}.json"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(f".{uuid.uuid4().hex}.new")
        fresh.write_bytes(serializers.dumps({**record, "expires": expires}))
        os.replace(fresh, path)
        if lock:
            self.unlock(key, lock)

    def lock(self, key: str, holder: str) -> bool:
        """See :class:`CacheStore`."""
        if fcntl is None:
            raise OrchestratorError("without a server, isolation_level=SERIALIZABLE needs file locks: not on Windows")
        path = self._folder / "locks" / key
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._files[holder] = file
        return True

    def unlock(self, key: str, holder: str) -> None:
        """See :class:`CacheStore`."""
        if (file := self._files.pop(holder, None)) is not None:
            file.close()


def _after(seconds: float | None) -> str | None:
    return None if seconds is None else to_text(now() + timedelta(seconds=seconds))


#: Locks that this process holds on a server, with what renews each.
_held: dict[tuple[str, str], Callable[[], bool]] = {}
_renewer: list[threading.Thread] = []
_starting = threading.Lock()


def _keep_up(lock: tuple[str, str], renew: Callable[[], bool]) -> None:
    with _starting:
        _held[lock] = renew
        if not _renewer or not _renewer[0].is_alive():
            _renewer[:] = [threading.Thread(target=_renew, name="orchestrator-cache-locks", daemon=True)]
            _renewer[0].start()


def _renew() -> None:
    while True:
        time.sleep(RENEWAL)
        for renew in list(_held.values()):
            with contextlib.suppress(OrchestratorError):  # while the API is away, nobody else can take it
                renew()
        with _starting:
            if not _held:
                _renewer.clear()
                return


def _after_fork() -> None:
    global _starting
    _starting = threading.Lock()
    _held.clear()
    _renewer.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
