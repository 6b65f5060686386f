"""The supervisor behind ``orchestrator server start``: starts all parts of a server and keeps them alive.

All children are started and watched by one thread, the keeper, which lives as long as they do: on Linux the kernel
ends a child when the thread that started it ends, so ``kill -9`` of this process leaves none behind.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from .. import clock
from .. import settings as settings_module
from .._version import __version__
from ..errors import Conflict, InvalidInput, OrchestratorError, SettingsError, Unavailable
from ..server.db.session import normalise_url
from ..server.upgrade import upgrade
from ..settings import Settings
from . import first_start as first_start_module
from . import health, logfiles, parts, processes, state, template
from .child import Backoff, Child
from .data_server import port_is_free
from .lock import FileLock
from .offline import data_of
from .secret_key import secret_key
from .services import EmbeddedServices

_TICK_S = 0.2
#: Once it is ready: nobody waits for it to notice something.
_CALM_TICK_S = 0.5
_TRIM_EVERY_S = 5.0
_READY_WITHIN_S = 120.0
_PORT_PATIENCE_S = 10.0
#: A part that ends so often before the server was ever ready will not start.
_HOPELESS = 3


@dataclass(frozen=True)
class Options:
    """What ``server start`` is asked for.

    Args:
        host: Address to listen on; None: the setting.
        port: Port to listen on; None: the setting.
        agent: Whether an agent runs along.
        queues: Work queues of that agent.
        embedded: Whether Postgres and Redis may be run here where no address of one is set.
    """

    host: str | None = None
    port: int | None = None
    agent: bool = False
    queues: Sequence[str] = ("default",)
    embedded: bool = True


PartsTable = Callable[[Settings, parts.Surroundings, Sequence[str]], list[parts.Part]]
FirstStart = Callable[[Settings, str, str, Callable[[str], None]], str]


class Supervisor:
    """A running server; a context manager that starts it, waits until it is ready, and stops all of it.

    While it is entered from the main thread, SIGTERM and SIGINT raise KeyboardInterrupt; once it is being left,
    another one makes it kill what it would wait for.

    Args:
        options: What to start.
        settings: By default those of the environment and profile.
        say: Is given each line that a person should see; they are in ``logs/server.log`` too.
        table: Makes the parts.
        first_start: Gives the key of the local user.
        warm: What the parts share (:func:`.template.begin`).
    """

    def __init__(
        self,
        options: Options | None = None,
        settings: Settings | None = None,
        *,
        say: Callable[[str], None] = print,
        table: PartsTable = parts.table,
        first_start: FirstStart = first_start_module.admin_key,
        warm: Sequence[str] = parts.WARM,
    ) -> None:
        options = options or Options()
        settings = settings or settings_module.load()
        self.options = options
        self.settings = replace(
            settings,
            host=settings.host if options.host is None else options.host,
            port=settings.port if options.port is None else options.port,
        )
        self.home = self.settings.path().absolute()
        self.api_url = health.local_url(self.settings.host, self.settings.port)
        #: A key that may do everything; known once the server is ready.
        self.api_key = ""
        self._say_to, self._table, self._first_start = say, table, first_start
        self._warm = warm
        self._template: template.Template | None = None
        self._lock = FileLock(state.lock_file(self.home))
        self._embedded: EmbeddedServices | None = None
        self._embedded_backoff: dict[str, tuple[Backoff, float]] = {}
        self._data: Path | None = None
        self._children: list[Child] = []
        self._written: list[state.PartState] | None = None
        self._since = ""
        self._identity = processes.identity(os.getpid())
        self._trimmed = 0.0
        self._trouble = ""
        self._thread: threading.Thread | None = None
        self._stopping, self._ready, self._over = threading.Event(), threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._leaving = self._hurry = False
        self._handlers: dict[int, Any] = {}
        self._logger = logging.Logger("orchestrator.server")

    def __enter__(self) -> Supervisor:
        self._catch_signals()
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving = True
        try:
            self.stop()
        finally:
            self._restore_signals()

    def start(self) -> None:
        """Start everything and return when it is ready.

        Raises:
            OrchestratorError: It cannot be started; one line. Nothing is left running.
        """
        self._template = template.begin(self._warm, {"database": self._make_usable})
        self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._thread.start()
        self._ready.wait()
        self._raise_error()

    def wait(self) -> None:
        """Return when the server is asked to stop (SIGTERM, SIGINT). Raises what made it stop by itself."""
        with contextlib.suppress(KeyboardInterrupt):
            self._over.wait()
        self._raise_error()

    def stop(self) -> None:
        """Stop all parts, the last started first, and return when they are gone."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()

    # What follows runs in the keeper.

    def _keep(self) -> None:
        try:
            self._prepare()
            self._start_parts()
            self._await_ready()
            while not self._stopping.wait(_CALM_TICK_S):
                self._tick()
        except _Stopped:
            pass
        except BaseException as error:
            self._error = error
        finally:
            try:
                self._stop_all()
            except BaseException as error:
                self._error = self._error or error
            self._over.set()
            self._ready.set()

    def _prepare(self) -> None:
        """All that can be refused is refused here, before anything is started."""
        _make_home(self.home)
        if not self._lock.take():
            raise Conflict(_already_running(self.home))
        self._open_log()
        embed_postgres, embed_redis = self._what_to_embed()
        leftovers = state.end_leftovers(self.home)
        self._since = clock.to_text(clock.now())
        _claim_port(self.settings.host, self.settings.port, _PORT_PATIENCE_S if leftovers else 0.0)
        if embed_postgres or embed_redis:
            self._data, note = data_of(self.settings)
            if note:
                self._say(note)
            self._embedded = EmbeddedServices(
                self._data, postgres=embed_postgres, redis=embed_redis, logs=self.home / "logs"
            )
            self._embedded.claim()
        self._secret_key()
        self._write_state()

    def _what_to_embed(self) -> tuple[bool, bool]:
        if self.settings.database_url:
            normalise_url(self.settings.database_url)
        if self.settings.redis_url and not self.settings.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError("ORCHESTRATOR_REDIS_URL is no Redis address: redis://:password@host:6379/0")
        missing = [name for name in ("database_url", "redis_url") if not getattr(self.settings, name)]
        if missing and not self.options.embedded:
            names = " and ".join(settings_module.PREFIX + name.upper() for name in missing)
            raise SettingsError(f"--no-embedded needs {names}")
        return "database_url" in missing, "redis_url" in missing

    def _start_parts(self) -> None:
        around = self._surroundings(self._secret_key(), start=True)
        self._check_stop()
        self.api_key = self._key_of_usable(around.database_url)
        self._check_stop()
        base = parts.base_environment(os.environ)
        for part in self._parts(replace(around, api_key=self.api_key)):
            self._children.append(Child(part, self.home, base, self._template))
        self._start_children(after_ready=False)

    def _start_children(self, after_ready: bool) -> None:
        for child in self._children:
            if child.part.after_ready == after_ready:
                child.start()
        self._write_state()

    def _parts(self, around: parts.Surroundings) -> list[parts.Part]:
        return self._table(self.settings, around, self.options.queues if self.options.agent else ())

    def _key_is_elsewhere(self) -> bool:
        """Whether settings name a place that the parts can read the key from themselves."""
        return not self.settings.secret_key and bool(self.settings.secret_key_file or self.settings.secret_key_command)

    def _secret_key(self) -> str:
        return secret_key(self.settings, None if self.settings.database_url else self._data)

    def _surroundings(self, key: str, start: bool = False) -> parts.Surroundings:
        if self._embedded is not None and start:
            self._embedded.start()
        own = self._embedded
        return parts.Surroundings(
            home=self.home,
            host=self.settings.host,
            port=self.settings.port,
            api_url=self.api_url,
            api_key=self.api_key,
            database_url=self.settings.database_url or (own.database_url if own else ""),
            redis_url=self.settings.redis_url or (own.redis_url if own else ""),
            secret_key="" if self._key_is_elsewhere() else key,
        )

    def _key_of_usable(self, url: str) -> str:
        """Have the database be as this version needs it; the key of the local user."""
        try:
            if self._template is None:
                raise template.Gone
            made = self._template.call("database", url)
        except template.Gone:
            made = self._make_usable(url)
        for line in made["lines"]:
            self._say(line)
        return str(made["key"])

    def _make_usable(self, url: str) -> dict[str, Any]:
        lines: list[str] = []
        self._migrate(self.settings.migration_url or url, lines.append)
        return {"key": self._first_start(self.settings, self.api_url, url, lines.append), "lines": lines}

    def _migrate(self, url: str, say: Callable[[str], None]) -> None:
        try:
            if upgrade(url):
                say("the database has been brought to this version's tables")
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise Unavailable(f"the database cannot be migrated: {reason}") from error

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN_S
        while not health.ready(self.api_url, timeout_s=2.0)[0]:
            if self._stopping.wait(_TICK_S):
                raise _Stopped
            self._tick()
            for child in self._children:
                if child.backoff.failures >= _HOPELESS:
                    raise Unavailable(f"{child.part.name} does not start: {child.last_words} (log: {child.log})")
            if time.monotonic() > deadline:
                raise Unavailable(self._why_not_ready())
        self._start_children(after_ready=True)
        self._logger.warning("ready at %s", self.api_url)
        self._ready.set()

    def _why_not_ready(self) -> str:
        _, answer = health.ready(self.api_url)
        said = health.complaints(answer) if answer else "it does not answer"
        return f"{self.api_url} is not ready after {_READY_WITHIN_S:.0f} s: {said} (logs: {self.home / 'logs'})"

    def _tick(self) -> None:
        for child in self._children:
            if line := child.watch():
                self._say(line)
        if self._embedded is not None:
            for name in self._embedded.dead():
                self._revive(self._embedded, name)
        try:
            self._trim_logs()
            self._write_state()
        except OSError as error:
            # A full disk is no reason to stop the server.
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._say(f"{self.home} cannot be written to: {error}")

    def _trim_logs(self) -> None:
        if time.monotonic() - self._trimmed < _TRIM_EVERY_S:
            return
        self._trimmed = time.monotonic()
        for path in (self.home / "logs").glob("*.log"):
            if path.name != "server.log":
                logfiles.trim(path)

    def _revive(self, embedded: EmbeddedServices, name: str) -> None:
        """Start a dead Postgres or Redis again; with another address, the other parts are started again too."""
        backoff, due = self._embedded_backoff.get(name, (Backoff(), 0.0))
        now = time.monotonic()
        if due == 0.0:
            pause = backoff.pause(0.0)
            self._say(f"{name} ended and is started again in {pause:g} s")
            self._embedded_backoff[name] = backoff, now + pause
        elif now >= due:
            self._embedded_backoff[name] = backoff, 0.0
            try:
                moved = embedded.revive(name)
            except Unavailable as error:
                self._say(str(error))
                return
            self._say(f"{name} is started again")
            if moved:
                self._move_parts()

    def _move_parts(self) -> None:
        around = self._surroundings(self._secret_key())
        table = {part.name: part for part in self._parts(around)}
        for child in self._children:
            child.replace(table[child.part.name], self._is_hurried)

    def _write_state(self) -> None:
        now = [child.state() for child in self._children]
        if self._embedded is not None:
            for name, process in self._embedded.processes.items():
                log = str(self.home / "logs" / f"{name}.log")
                now.insert(0, state.PartState(name, process.pid, processes.identity(process.pid), 0, log))
        if now != self._written:
            data = str(self._data) if self._data else None
            document = state.ServerState(os.getpid(), self._identity, self.api_url, self._since, __version__, data, now)
            state.write(self.home, document)
            self._written = now

    def _stop_all(self) -> None:
        if self._children:
            self._logger.warning("stopping")
        # The agent hands over what it has to tell while the others are up; those need not wait for each other.
        for last in (True, False):
            leaving = [child for child in reversed(self._children) if child.part.after_ready == last]
            for child in leaving:
                child.ask_to_end()
            for child in leaving:
                if line := child.stop(self._is_hurried):
                    self._say(line)
        self._children = []
        if self._template is not None:
            self._template.stop()
        if self._embedded is not None:
            self._embedded.stop()
        if self._since:
            state.state_file(self.home).unlink(missing_ok=True)
        for handler in self._logger.handlers[:]:
            self._logger.removeHandler(handler)
            handler.close()
        self._lock.release()

    def _check_stop(self) -> None:
        if self._stopping.is_set():
            raise _Stopped

    def _is_hurried(self) -> bool:
        return self._hurry

    # Lines, signals, errors.

    def _open_log(self) -> None:
        path = self.home / "logs" / "server.log"
        handler = logging.handlers.RotatingFileHandler(
            path, maxBytes=logfiles.LIMIT, backupCount=logfiles.KEPT - 1, encoding="utf-8"
        )
        formatter = logging.Formatter("%(asctime)sZ %(message)s", "%Y-%m-%dT%H:%M:%S")
        formatter.converter = time.gmtime
        handler.setFormatter(formatter)
        self._logger.addHandler(handler)

    def _say(self, line: str) -> None:
        self._logger.warning("%s", line)
        self._say_to(line)

    def _raise_error(self) -> None:
        if isinstance(self._error, OrchestratorError):
            raise self._error
        if self._error is not None:
            raise RuntimeError("the supervisor failed") from self._error
        if self._over.is_set() and not self._stopping.is_set():
            raise Unavailable("the server has stopped")

    def _catch_signals(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._on_signal)

    def _restore_signals(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers = {}

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        # Nothing here takes a lock: the main thread may hold any of them.
        if self._leaving:
            self._hurry = True
        else:
            self._leaving = True
            raise KeyboardInterrupt


class _Stopped(Exception):
    """The supervisor was asked to stop while it was starting."""


def _make_home(home: Path) -> None:
    if sys.platform == "win32":
        raise Unavailable("the server does not run on Windows: use WSL, or a container")
    try:
        (home / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"ORCHESTRATOR_HOME: {home} cannot be made: {error.strerror}") from None


def _already_running(home: Path) -> str:
    found = state.read(home)
    where = f" at {found.api_url}, pid {found.pid}" if found else ""
    return f"a server of {home} is already running{where}: stop it with `orchestrator server stop`"


def _claim_port(host: str, port: int, patience_s: float) -> None:
    """See to it that the port can be listened on; ``patience_s`` for a server that is just ending."""
    if not 0 < port < 65536:
        raise InvalidInput(f"port {port}: must be from 1 to 65535")
    try:
        socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise InvalidInput(f"host {host!r} is no address of this machine") from None
    deadline = time.monotonic() + patience_s
    while not port_is_free(host, port):
        if time.monotonic() >= deadline:
            raise Conflict(
                f"port {port} of {host} is in use or may not be listened on: choose another with --port or"
                " ORCHESTRATOR_PORT"
            )
        time.sleep(0.1)
