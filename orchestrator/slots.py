"""Slots of limits: code that holds some while it runs, and code that goes no faster than a limit allows.

Slots are leases that a thread of this process renews. They end with the ``with``, with the run, or, when nobody renews
them any more, by themselves. Where no API is configured nothing is limited.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from types import TracebackType
from typing import Any

from . import context, settings
from .client import FIRST_PAUSE, LONGEST_PAUSE, Client
from .errors import ApiUnreachable, InvalidInput, OrchestratorError, SettingsError
from .ids import uuid7

#: Seconds for which slots are held without being renewed, and the least that may be asked for.
LEASE_S, LEASE_MIN = 60.0, 10.0
#: Seconds that one question is held by the API, and how much longer its answer may take.
WAIT_S, ANSWER_S = 10.0, 20.0
#: Seconds for which what is known of limits of tags is good, and for which the first question of a process is waited
#: for.
FRESH_S, FIRST_LOOK_S = 5.0, 1.0
#: Limits of tags have names that begin so.
TAG = "tag:"

_log = logging.getLogger("orchestrator.limits")
_said: set[str] = set()


def concurrency(
    names: str | Iterable[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
    *,
    lease_duration: float = LEASE_S,
) -> Slots:
    """Hold slots of limits while a ``with``, or an ``async with``, lasts; wait until there are some.

    Slots of several limits are taken together, or none of them. Who comes first is served first. A limit that does not
    exist, or is not active, limits nothing.

    Args:
        names: The limit, or several.
        occupy: Slots to hold of each.
        timeout_seconds: How long to wait at most; None: as long as it takes.
        strict: Raise where one of the limits does not exist or is not active.
        lease_duration: Seconds for which the slots are held when this process stops to renew them; at least 10.

    Raises:
        TimeoutError: There was no slot in time.
        InvalidInput: A value that cannot be used, or more slots than the limit has.
        NotFound: ``strict``, and a limit is missing.
    """
    return Slots(names, occupy, timeout_seconds, strict, lease_duration)


def rate_limit(
    names: str | Iterable[str], occupy: int = 1, timeout_seconds: float | None = None, strict: bool = False
) -> None:
    """Wait until limits whose slots come back by themselves (``slot_decay_per_second``) have some, and take them.

    Arguments and errors as those of :func:`concurrency`; in async code use :func:`rate_limit_async`.
    """
    Slots(names, occupy, timeout_seconds, strict, rate=True).take()


async def rate_limit_async(
    names: str | Iterable[str], occupy: int = 1, timeout_seconds: float | None = None, strict: bool = False
) -> None:
    """As :func:`rate_limit`, without blocking the event loop."""
    await Slots(names, occupy, timeout_seconds, strict, rate=True).take_async()


class Slots:
    """Slots that are held while a ``with`` lasts; :func:`concurrency` makes it. Each use takes slots anew."""

    def __init__(
        self,
        names: str | Iterable[str],
        occupy: int = 1,
        timeout_seconds: float | None = None,
        strict: bool = False,
        lease_duration: float = LEASE_S,
        rate: bool = False,
    ) -> None:
        self.names = _names(names)
        if not isinstance(occupy, int) or isinstance(occupy, bool) or occupy < 1:
            raise InvalidInput(f"occupy is {occupy!r}: it has to be a whole number of at least 1")
        if timeout_seconds is not None and (not isinstance(timeout_seconds, (int, float)) or timeout_seconds < 0):
            raise InvalidInput(f"timeout_seconds is {timeout_seconds!r}: it has to be a number of seconds, or None")
        if not isinstance(lease_duration, (int, float)) or lease_duration < LEASE_MIN:
            raise InvalidInput(f"lease_duration is {lease_duration!r}: it has to be at least {LEASE_MIN:g} seconds")
        self.occupy, self.timeout, self.strict, self.lease_s = occupy, timeout_seconds, strict, float(lease_duration)
        self.rate = rate
        #: Those that are held, innermost last: one may be entered several times. None: nothing is to be given back.
        self._held: list[_Request | None] = []

    def __enter__(self) -> None:
        self.take()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.give_back()

    async def __aenter__(self) -> None:
        await self.take_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.give_back_async()

    def take(self, waits: Callable[[], None] | None = None) -> None:
        """Take the slots; ``waits`` is called when there are none at once. Raises as :func:`concurrency`."""
        if (asked := self._request()) is not None:
            self._keep(asked, asked.take(self.timeout, waits))

    async def take_async(self, waits: Callable[[], None] | None = None) -> None:
        """As :meth:`take`, without blocking the event loop."""
        asked = self._request()
        if asked is None:
            return
        try:
            found = await _beside(partial(asked.take, self.timeout, waits))
        except asyncio.CancelledError:
            asked.given_up.set()
            threading.Thread(target=asked.release, name="orchestrator-slot", daemon=True).start()
            raise
        self._keep(asked, found)

    def give_back(self) -> None:
        """Give back what was taken last."""
        if self._held and (asked := self._held.pop()) is not None:
            _renewer().forget(asked.id)
            asked.release()

    async def give_back_async(self) -> None:
        """As :meth:`give_back`, without blocking the event loop."""
        if self._held and (asked := self._held.pop()) is not None:
            _renewer().forget(asked.id)
            await _beside(asked.release)

    def _keep(self, asked: _Request, found: dict[str, Any]) -> None:
        is_held = not found["spent"] and not self.rate
        self._held.append(asked if is_held else None)
        if is_held:
            _renewer().keep(asked)

    def _request(self) -> _Request | None:
        run, task = context.owner(), context.task_run()
        client = _client(run.settings if run is not None else settings.load())
        if client is None:
            if self.strict:
                raise SettingsError(f"{', '.join(self.names)}: limits are kept by the API, but none is configured")
            if "unlimited" not in _said:
                _said.add("unlimited")
                _log.warning("no API is configured, so that limits such as %s limit nothing", ", ".join(self.names))
        if client is None or not self.names:
            self._held.append(None)
            return None
        root = run
        while root is not None and root.parent is not None:
            root = root.parent
        holder = f"{run.flow_name}/{run.name}" if run is not None else f"{socket.gethostname()}:{os.getpid()}"
        body = {
            "id": str(uuid7()), "names": self.names, "occupy": self.occupy, "lease_s": self.lease_s,
            "holder": holder[:200], "flow_run_id": run.id if run is not None else None,
            "root_run_id": root.id if root is not None else None,
            "task_run_id": task.id if task is not None else None, "strict": self.strict, "rate": self.rate,
        }  # fmt: skip
        return _Request(client, body, self.lease_s)


class _Request:
    """One request for slots, from the first question to their release."""

    def __init__(self, client: Client, body: dict[str, Any], lease_s: float) -> None:
        self._client, self._body, self.lease_s = client, body, lease_s
        self.id: str = body.get("id", "")
        #: Nobody waits for the answer any more.
        self.given_up = threading.Event()

    @property
    def names(self) -> str:
        return ", ".join(self._body["names"])

    def take(self, timeout: float | None, waits: Callable[[], None] | None) -> dict[str, Any]:
        """The API's answer, which is yes. Raises TimeoutError, and what the API says."""
        try:
            found = self._take(timeout, waits)
        except OrchestratorError:
            raise
        except BaseException:
            self.release()
            raise
        if self.given_up.is_set():
            self.release()
        return found

    def _take(self, timeout: float | None, waits: Callable[[], None] | None) -> dict[str, Any]:
        began, wait, pause, told = time.monotonic(), 0.0, FIRST_PAUSE, False
        while not self.given_up.is_set():
            try:
                found: dict[str, Any] = self._client.request(
                    "POST", "limits/acquire", {**self._body, "wait_s": wait}, timeout=wait + ANSWER_S
                )
            except ApiUnreachable as error:
                if not told:
                    told = True
                    _log.warning("%s; waiting for slots of %s all the same", error, self.names)
                left = WAIT_S if timeout is None else timeout - (time.monotonic() - began)
                self.given_up.wait(max(min(pause * random.uniform(0.5, 1.0), left), 0.0))
                pause = min(pause * 2, LONGEST_PAUSE)
                found = {"granted": False}
            if found["granted"]:
                return found
            left = WAIT_S if timeout is None else timeout - (time.monotonic() - began)
            if left <= 0:
                raise TimeoutError(f"{self._full()}; waited {timeout:g} s for a slot")
            if waits is not None:
                waits()
                waits = None
            wait = min(WAIT_S, left)
        return {"granted": False, "spent": True}

    def release(self) -> None:
        """Give it back, or the place among those who wait; what cannot be told now ends with its lease."""
        with contextlib.suppress(OrchestratorError):
            self._client.exchange("DELETE", f"limits/slots/{self.id}", timeout=5.0)

    def renew(self, ids: list[str]) -> set[str]:
        """Renew slots like these; gives those that were lost."""
        answer = self._client.request("POST", "limits/renew", {"ids": ids, "lease_s": self.lease_s}, timeout=5.0)
        return set(answer["lost"])

    def alike(self) -> tuple[int, float]:
        """What requests have in common that are renewed together."""
        return id(self._client), self.lease_s

    def _full(self) -> str:
        """Who holds the slots, as far as that can be told."""
        try:
            rows = [self._client.request("GET", "limits", params={"name": name}) for name in self._body["names"]]
        except OrchestratorError:
            return f"no slot of {self.names} became free"
        found = [row for page in rows for row in page["items"] if row["name"] in self._body["names"]]
        told = [
            f"{row['taken']} of {row['slots']} slots of {row['name']} are taken"
            + "".join(f", by {holder['name']} since {holder['taken']}" for holder in row["holders"][:3])
            for row in found
        ]  # fmt: skip
        return "; ".join(told) or f"no slot of {self.names} became free"


class _Renewer:
    """Renews what this process holds, in a thread that ends when it holds nothing."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.Lock()
        self._held: dict[str, _Request] = {}
        self._changed = threading.Event()
        self._thread: threading.Thread | None = None

    def keep(self, asked: _Request) -> None:
        with self._lock:
            self._held[asked.id] = asked
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="orchestrator-slots", daemon=True)
                self._thread.start()
        self._changed.set()

    def forget(self, request_id: str) -> None:
        with self._lock:
            self._held.pop(request_id, None)

    def _run(self) -> None:
        due = 0.0
        while True:
            with self._lock:
                held = list(self._held.values())
                if not held:
                    self._thread = None
                    return
            every = min(asked.lease_s for asked in held) / 3
            due = min(due, time.monotonic() + every) if due else time.monotonic() + every
            if self._changed.wait(max(due - time.monotonic(), 0.0)):
                self._changed.clear()
                continue
            due = 0.0
            self._renew(held)

    def _renew(self, held: list[_Request]) -> None:
        groups: dict[tuple[int, float], list[_Request]] = {}
        for asked in held:
            groups.setdefault(asked.alike(), []).append(asked)
        for group in groups.values():
            try:
                lost = group[0].renew([asked.id for asked in group])
            except OrchestratorError as error:
                _log.debug("slots cannot be renewed now: %s", error)
                continue
            for asked in group:
                with self._lock:
                    was_held = asked.id in lost and self._held.pop(asked.id, None) is not None
                if was_held:
                    _log.error("the slots of %s were taken back: others may hold them meanwhile", asked.names)


class _TagLimits:
    """Which limits of tags there are, learned beside the tasks that ask."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.names: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._learned = threading.Event()
        self._first = self._next = 0.0

    def of(self, tags: Iterable[str], found: settings.Settings) -> list[str]:
        now = time.monotonic()
        if now >= self._next:
            with self._lock:
                if now >= self._next:
                    self._first = self._first or now
                    self._next = now + FRESH_S
                    threading.Thread(target=self._learn, args=(found,), name="tag-limits", daemon=True).start()
        if not self._learned.is_set():
            self._learned.wait(max(self._first + FIRST_LOOK_S - now, 0.0))
        if not self.names:
            return []
        return sorted(name for name in (f"{TAG}{tag}" for tag in tags) if name in self.names)

    def _learn(self, found: settings.Settings) -> None:
        client = _client(found)
        try:
            if client is not None:
                pages = client.pages("limits", {"prefix": TAG, "limit": 200})
                self.names = frozenset(item["name"] for item in pages if item["active"])
        except (OrchestratorError, LookupError, TypeError) as error:
            _log.debug("limits of tags cannot be read now: %s", error)
        finally:
            self._learned.set()


def of_tags(tags: Iterable[str], found: settings.Settings) -> list[str]:
    """The limits of these tags that exist, as far as this process learned within the last seconds."""
    global _tag_limits
    if _tag_limits.pid != os.getpid():
        _tag_limits = _TagLimits()
    return _tag_limits.of(tags, found)


def forget() -> None:
    """Learn anew which limits of tags there are."""
    global _tag_limits
    _tag_limits = _TagLimits()


_tag_limits = _TagLimits()
_the_renewer = _Renewer()
_clients: dict[tuple[str, str], Client] = {}


def _renewer() -> _Renewer:
    global _the_renewer
    if _the_renewer.pid != os.getpid():
        _the_renewer = _Renewer()
    return _the_renewer


def _client(found: settings.Settings) -> Client | None:
    if not found.api_url:
        return None
    key = (found.api_url, found.api_key)
    if (client := _clients.get(key)) is None:
        client = _clients[key] = Client(found.api_url, found.api_key, retries=0)
    return client


async def _beside(work: Callable[[], Any]) -> Any:
    """What ``work`` gives, from a thread of its own: those of the pool may all be waiting for slots."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def go() -> None:
        value, problem = None, None
        try:
            value = work()
        except BaseException as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, problem)

    threading.Thread(target=go, name="orchestrator-slot", daemon=True).start()
    return await done


def _names(names: str | Iterable[str]) -> list[str]:
    found = [names] if isinstance(names, str) else list(names)
    if not all(isinstance(name, str) and name.strip() for name in found):
        raise InvalidInput(f"names is {names!r}: it has to be the name of a limit, or a list of names")
    return list(dict.fromkeys(found))
