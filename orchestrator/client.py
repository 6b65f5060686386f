"""The REST client: one connection pool per process, errors as our own tree, retries only where they are harmless."""

from __future__ import annotations

import logging
import os
import random
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import urllib3

from . import serializers, settings
from ._version import __version__
from .clock import real_time as time
from .clock import to_text
from .errors import (
    AccessDenied,
    ApiError,
    ApiUnreachable,
    Conflict,
    InvalidInput,
    NotFound,
    OrchestratorError,
    SettingsError,
    TransitionRefused,
)

PREFIX = "/api/v1/"
CONNECT_TIMEOUT = 3.0
READ_TIMEOUT = 30.0
#: Seconds without a sign of life after which a stream is given up; the API gives one every five.
STREAM_TIMEOUT = 30.0
#: Extra tries of a call that may be repeated without harm.
RETRIES = 3
_REPEATABLE = frozenset({"GET", "HEAD", "PUT", "DELETE"})
_PASSING = frozenset({502, 503, 504})
#: Seconds for which an API that answers, but with an error of its own, is asked again by :func:`patiently`; less than a
#: lease. And its pauses: the first, doubling to the longest.
FAILING = 20.0
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 3.0

T = TypeVar("T")
_log = logging.getLogger("orchestrator.client")


@dataclass(frozen=True)
class Answer:
    """What the API answered: the status, the decoded JSON (None: an empty body) and the header fields."""

    status: int
    data: Any
    headers: Mapping[str, str]

    @property
    def retry_after(self) -> float | None:
        """Seconds that the API asks to wait, where it says so."""
        try:
            return max(0.0, float(self.headers.get("Retry-After", "")))
        except ValueError:
            return None


_stand_in: Client | None = None


def use(client: Client | None) -> Client | None:
    """Have :meth:`Client.from_settings` give this client, in the whole process; None: the configured one.

    Returns:
        The one before.
    """
    global _stand_in
    before, _stand_in = _stand_in, client
    return before


class Client:
    """Speaks to the REST API.

    It may be used from many threads, and after a fork: each process opens connections of its own.

    Args:
        api_url: Address of the server, such as ``http://127.0.0.1:4200``.
        api_key: The key to present; empty: none.
        timeout: Seconds to wait for an answer once connected.
        retries: Extra tries of calls that may be repeated (GET, PUT, DELETE, and POST with an ``Idempotency-Key``).

    Raises:
        SettingsError: The address is none.
    """

    def __init__(self, api_url: str, api_key: str = "", timeout: float = READ_TIMEOUT, retries: int = RETRIES) -> None:
        parts = urlsplit(api_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"API_URL is {api_url!r}: it has to look like http://127.0.0.1:4200")
        self.api_url = api_url.rstrip("/").removesuffix(PREFIX.rstrip("/"))
        self.timeout = timeout
        self.retries = retries
        self._headers = {"Accept": "application/json", "User-Agent": f"orchestrator/{__version__}"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._lock = threading.Lock()
        self._pool: urllib3.PoolManager | None = None
        self._pid = 0

    @classmethod
    def from_settings(cls) -> Client:
        """The client of the environment's or the active profile's API.

        Raises:
            SettingsError: No API is configured.
        """
        if _stand_in is not None:
            return _stand_in
        found = settings.load()
        if not found.api_url:
            raise SettingsError(
                "no API is configured: set ORCHESTRATOR_API_URL and ORCHESTRATOR_API_KEY, or choose a profile"
            )
        return cls(found.api_url, found.api_key)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Read something. Raises as :meth:`request`."""
        return self.request("GET", path, params=params)

    def post(self, path: str, json: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Create or do something. Raises as :meth:`request`."""
        return self.request("POST", path, json=json, headers=headers)

    def put(self, path: str, json: Any = None) -> Any:
        """Replace something. Raises as :meth:`request`."""
        return self.request("PUT", path, json=json)

    def patch(self, path: str, json: Any = None) -> Any:
        """Change something. Raises as :meth:`request`."""
        return self.request("PATCH", path, json=json)

    def delete(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Remove something. Raises as :meth:`request`."""
        return self.request("DELETE", path, params=params)

    def pages(self, path: str, params: Mapping[str, Any] | None = None) -> Iterator[Any]:
        """All items of a list, page after page, as they are asked for."""
        query = dict(params or {})
        while True:
            page = self.get(path, query)
            yield from page["items"]
            if not page.get("next"):
                return
            query["cursor"] = page["next"]

    def follow(
        self, path: str, params: Mapping[str, Any] | None = None, last: str | None = None
    ) -> Iterator[tuple[str, Any]]:
        """Server-sent events of one connection, each with its id, until either side ends it; None with an id where
        nothing came, but the next time may begin behind it.

        Args:
            last: Id of the last one that was seen; the next is the first then.

        Raises:
            ApiUnreachable: Nothing answers, or nothing more does.
            AccessDenied, InvalidInput, ...: As :meth:`request`.
        """
        headers = {**self._headers, "Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        target = f"{path}?{query}" if (query := _query(params)) else path
        try:
            response = self._connections().request(
                "GET", self.api_url + PREFIX + target, headers=headers, retries=False, redirect=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=STREAM_TIMEOUT), preload_content=False,
            )  # fmt: skip
            try:
                if response.status != 200:
                    raise _error(Answer(response.status, _decode(response.read()), response.headers), self.api_url)
                yield from _server_sent(response)
            finally:
                response.close()  # what is left of the stream is of no use to the next request
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnreachable(f"the API at {self.api_url} does not answer: {_reason(error)}") from error

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Make a call and decode its answer.

        Args:
            method: The HTTP verb.
            path: Path below ``/api/v1``, such as ``flow-runs``.
            json: Body; anything that JSON can hold, with ids and times.
            params: Query arguments; None leaves one out, a list repeats it.
            headers: Header fields beside the usual ones.
            timeout: Seconds to wait for the answer; the client's own when not given.

        Returns:
            The decoded JSON; None where the answer has no body.

        Raises:
            ApiUnreachable: Nothing answers there, or the server says that it cannot now.
            AccessDenied, NotFound, Conflict, TransitionRefused, InvalidInput: As the API says.
            ApiError: Any other answer that is no success.
        """
        target = f"{path}?{query}" if (query := _query(params)) else path
        body = None if json is None else serializers.dumps(json)
        repeatable = method in _REPEATABLE or "Idempotency-Key" in (headers or {})
        for tried in range(self.retries + 1):
            last = tried == self.retries or not repeatable
            try:
                answer = self.exchange(method, target, body, headers, timeout)
            except ApiUnreachable:
                if last:
                    raise
                self._pause(tried)
                continue
            if last or answer.status not in _PASSING:
                break
            self._pause(tried, answer.retry_after)
        if answer.status >= 400:
            raise _error(answer, self.api_url)
        return answer.data

    def exchange(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """One call, tried once, whatever its status.

        Raises:
            ApiUnreachable: There was no answer.
        """
        sent = {**self._headers, **(headers or {})}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            response = self._connections().request(
                method,
                self.api_url + PREFIX + path.lstrip("/"),
                body=body,
                headers=sent,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout or self.timeout),
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise ApiUnreachable(f"the API at {self.api_url} does not answer: {_reason(error)}") from error
        return Answer(response.status, _decode(response.data), response.headers)

    def _connections(self) -> urllib3.PoolManager:
        pid = os.getpid()
        if self._pool is None or self._pid != pid:
            if self._pid != pid:
                self._lock = threading.Lock()
            with self._lock:
                if self._pool is None or self._pid != pid:
                    self._pool, self._pid = urllib3.PoolManager(num_pools=2, maxsize=8), pid
        return self._pool

    @staticmethod
    def _pause(tried: int, asked: float | None = None) -> None:
        time.sleep(min(asked, 30.0) if asked is not None else random.uniform(0.5, 1.0) * 0.2 * 2**tried)


def patiently(call: Callable[[], T], wanted: Callable[[], bool] = lambda: True) -> T:
    """What ``call`` gives; it is made again while the API is away, and for a while when it answers 500 and the like.

    For calls that a started run depends on and that do no harm when they are made twice.

    Args:
        call: Asks the API for something.
        wanted: Whether the answer is still of use.

    Raises:
        OrchestratorError: What the call raised last.
    """
    began, pause, told = time.monotonic(), FIRST_PAUSE, False
    while True:
        try:
            return call()
        except (ApiUnreachable, ApiError) as error:
            fails = isinstance(error, ApiError) and (error.code < 500 or time.monotonic() - began > FAILING)
            if fails or not wanted():
                raise
            if not told:
                told = True
                _log.warning("%s; trying again", error)
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(pause * 2, LONGEST_PAUSE)


def _server_sent(response: urllib3.BaseHTTPResponse) -> Iterator[tuple[str, Any]]:
    """The events in a stream of lines; comments keep it open."""
    rest, identifier, data = b"", "", b""
    for chunk in iter(lambda: response.read1(65536), b""):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b": ")
            if name == b"id":
                identifier = value.decode()
            elif name == b"data":
                data = value
            elif not line and identifier:
                yield identifier, serializers.loads(data) if data else None
                data = b""


def _query(params: Mapping[str, Any] | None) -> str:
    pairs = []
    for name, value in (params or {}).items():
        values = value if isinstance(value, (list, tuple, set, frozenset)) else [value]
        pairs += [(name, _text(one)) for one in values if one is not None]
    return urlencode(pairs)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, uuid.UUID):
        return str(value)
    return str(value)


def _decode(data: bytes) -> Any:
    if not data:
        return None
    try:
        return serializers.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "connection refused or no route"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return str(error) or type(error).__name__


def _error(answer: Answer, api_url: str) -> OrchestratorError:
    body = answer.data if isinstance(answer.data, dict) else {}
    message = str(body.get("message") or "")
    status, errors = answer.status, body.get("errors") or {}
    if not body:
        message = f"{api_url} answered {status} without the API's error document: does API_URL name this server?"
    if status == 422:
        return InvalidInput(message or "the API refused the input", errors)
    if status == 404:
        return NotFound(message or "there is no such thing")
    if status == 409:
        # Where a rule refused, the text beside the number is the rule's code.
        code = str(body.get("status") or "")
        if code not in {"", "Conflict"}:
            return TransitionRefused(message or None, code=code)
        return Conflict(message or None, errors)
    if status in {401, 403}:
        return AccessDenied(message or None)
    if status == 503:
        return ApiUnreachable(message or f"the API at {api_url} cannot answer now")
    return ApiError(message or f"the API answered {status}", status, errors)
