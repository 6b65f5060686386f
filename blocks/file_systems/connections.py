"""Clients and connections of a process: made once for each configuration, never shared with a forked process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from orchestrator.errors import AccessDenied, InvalidInput, NotFound

C = TypeVar("C")

#: A connection that nobody used for so long is closed: servers drop them, and firewalls forget them, without a word.
IDLE_S = 60.0
#: What a forked process inherited. Collected, a connection would say goodbye on the socket that it shares with its
#: parent, so it is kept and never touched.
_inherited: list[Any] = []
_stores: WeakSet[_PerProcess] = WeakSet()


def fingerprint(block: BaseModel) -> str:
    """A key for all values of a block, secrets and the blocks inside it included: a rotated one has another."""
    return hashlib.sha256(json.dumps([type(block).__name__, _plain(block)], sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        return _plain(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


class _PerProcess:
    def __init__(self) -> None:
        self._reset()
        _stores.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()


class Clients(_PerProcess, Generic[C]):
    """Clients that threads may share, the longest unused dropped beyond ``most``."""

    def __init__(self, most: int = 16) -> None:
        super().__init__()
        self._most = most

    def _reset(self) -> None:
        super()._reset()
        _inherited.append(getattr(self, "_clients", None))
        self._clients: OrderedDict[str, C] = OrderedDict()

    def get(self, key: str, make: Callable[[], C]) -> C:
        """The client of a configuration, made where there is none yet; one at a time."""
        with self._lock:
            if key not in self._clients:
                self._clients[key] = make()
            self._clients.move_to_end(key)
            while len(self._clients) > self._most:
                self._clients.popitem(last=False)
            return self._clients[key]


class Connections(_PerProcess, Generic[C]):
    """Connections that one thread uses at a time: kept for the next one, opened where none is free.

    Args:
        usable: Whether an idle connection is still open.
        close: Closes one.
        idle: How many of a configuration are kept.
    """

    def __init__(self, usable: Callable[[C], bool], close: Callable[[C], Any], idle: int = 4) -> None:
        super().__init__()
        self._usable, self._close, self._most = usable, close, idle

    def _reset(self) -> None:
        super()._reset()
        _inherited.append(getattr(self, "_idle", None))
        self._idle: dict[str, list[tuple[float, C]]] = {}

    @contextlib.contextmanager
    def use(self, key: str, open_one: Callable[[], C]) -> Iterator[C]:
        """A connection of a configuration. One that is left by an error of the connection is closed."""
        pid = os.getpid()
        connection = self._take(key) or open_one()
        try:
            yield connection
        except (NotFound, InvalidInput, AccessDenied, GeneratorExit):
            self._give_back(key, connection, pid)
            raise
        except BaseException:
            if os.getpid() == pid:
                self._end(connection)
            raise
        self._give_back(key, connection, pid)

    def _take(self, key: str) -> C | None:
        now = time.monotonic()
        with self._lock:
            kept = self._idle.pop(key, [])
            old = [item for item in kept if now - item[0] > IDLE_S]
            fresh = [item for item in kept if now - item[0] <= IDLE_S]
            chosen = fresh.pop()[1] if fresh else None
            if fresh:
                self._idle[key] = fresh
        for _, connection in old:
            self._end(connection)
        if chosen is not None and not self._usable(chosen):
            self._end(chosen)
            return self._take(key)
        return chosen

    def _give_back(self, key: str, connection: C, pid: int) -> None:
        if os.getpid() != pid:  # forked while it was used: it is the parent's
            _inherited.append(connection)
            return
        with self._lock:
            kept = self._idle.setdefault(key, [])
            if len(kept) < self._most:
                kept.append((time.monotonic(), connection))
                return
        self._end(connection)

    def _end(self, connection: C) -> None:
        with contextlib.suppress(Exception):
            self._close(connection)


def _after_fork() -> None:
    for store in _stores:
        store._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
