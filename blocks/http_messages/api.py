"""Requests to the HTTP API of a service, and its answers and refusals in our words."""

from __future__ import annotations

import email.utils
import json
import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import urllib3

from orchestrator._version import __version__
from orchestrator.errors import AccessDenied, InvalidInput, NotFound, OrchestratorError, Unavailable

from .addresses import host_of, port_of

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
#: Seconds that one call waits in all because a service asks to; a longer wait is left to the caller.
LONGEST_WAIT = 30.0
_TRIES = 5
#: Bytes of an answer that are read: no service's answer to a message is longer.
_LONGEST_ANSWER = 4 << 20
_EXCERPT = 300


@dataclass(frozen=True)
class Answer:
    """What a service answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, decoded; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def retry_after(self) -> float | None:
        """Seconds that the service asks to wait, by its header (seconds or a date) or, as some do, in its body."""
        asked = str(self.headers.get("Retry-After", "")).strip()
        if not asked and isinstance(data := self.json(), dict):
            inner = data.get("parameters")
            asked = str(data.get("retry_after", inner.get("retry_after", "") if isinstance(inner, dict) else ""))
        try:
            return max(0.0, float(asked))
        except ValueError:
            date = email.utils.parsedate_tz(asked)
            return max(0.0, email.utils.mktime_tz(date) - time.time()) if date else None


@dataclass(frozen=True)
class Api:
    """One API, as a block uses it. It may be shared by threads; a process that was forked opens connections of its own.

    Attributes:
        service: What people call it; begins every error.
        base_url: What the paths of calls are below; for a webhook its whole address.
        headers: Sent with every request.
        secrets: What may never stand in an error.
        timeout: Seconds to wait for an answer.
        ca_file: Certificates to trust in place of the system's.
        missing: What 404 and 410 mean: that a ticket is not there, or that an address is no key any more.
    """

    service: str
    base_url: str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    timeout: float = READ_TIMEOUT
    ca_file: str | None = None
    missing: type[OrchestratorError] = NotFound

    def call(
        self,
        method: str,
        path: str = "",
        *,
        payload: Any = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request; returns the answer of a service that took it (2xx).

        Args:
            method: Of HTTP.
            path: Below the base address.
            payload: Sent as JSON.
            form: Sent as a form.
            body: Sent as it is.
            headers: Beside those of the API.

        Raises:
            OrchestratorError: The kind of :meth:`refusal`; Unavailable where there is no answer.
        """
        answer = self.ask(method, path, payload=payload, form=form, body=body, headers=headers)
        if 200 <= answer.status < 300:
            return answer
        raise self.refusal(answer)

    def ask(
        self,
        method: str,
        path: str = "",
        *,
        payload: Any = None,
        form: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Like :meth:`call`, but returns whatever is answered, after the waits that the service asked for."""
        fields = {"User-Agent": f"orchestrator/{__version__}", **self.headers, **(headers or {})}
        if payload is not None:
            body = json.dumps(payload, ensure_ascii=False).encode("utf-8", "replace")
            fields["Content-Type"] = "application/json; charset=utf-8"
        elif form is not None:
            body = urlencode(form, doseq=True, errors="replace").encode()
            fields["Content-Type"] = "application/x-www-form-urlencoded"
        waited = 0.0
        for tried in range(1, _TRIES + 1):
            answer = self._send(method, self.base_url + path, body, fields)
            wait = self._wait(answer, tried)
            if wait is None or tried == _TRIES or waited + wait > LONGEST_WAIT:
                break
            time.sleep(wait)
            waited += wait
        return answer

    @staticmethod
    def _wait(answer: Answer, tried: int) -> float | None:
        if answer.status not in (429, 503):
            return None
        asked = answer.retry_after()
        if asked is None and answer.status == 429:
            return float(2 ** (tried - 1))  # a service that does not say how long
        return asked

    def _send(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT, read=self.timeout)
        try:
            response = _pool(os.getpid(), self.ca_file).request(
                method, url, body=body, headers=dict(headers), timeout=timeout,
                retries=False, redirect=False, preload_content=False,
            )  # fmt: skip
            try:
                content = response.read(_LONGEST_ANSWER, decode_content=True)
                return Answer(response.status, response.headers, content)
            finally:
                # A connection that was read to its end is in the pool by now; any other must not be used again.
                response.close()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise self.unreachable(error) from None

    def reach(self) -> str:
        """Open a connection and close it again, sending nothing; returns what was reached.

        Raises:
            Unavailable: The host does not answer, or its certificate is not trusted.
        """
        host = urlsplit(self.base_url).hostname or ""
        try:
            with socket.create_connection((host, port_of(self.base_url)), timeout=CONNECT_TIMEOUT) as link:
                if self.base_url.startswith("https:"):
                    context = ssl.create_default_context(cafile=self.ca_file)
                    context.wrap_socket(link, server_hostname=host).close()
        except (OSError, ValueError) as error:
            raise self.unreachable(error) from None
        return host_of(self.base_url)

    def unreachable(self, error: Exception) -> Unavailable:
        """What to raise where no answer came."""
        why = _reason(error)
        return Unavailable(masked(f"{self.service} cannot be reached at {host_of(self.base_url)}: {why}", self.secrets))

    def refusal(self, answer: Answer, why: str = "") -> OrchestratorError:
        """What to raise for an answer, by its status; the service's own words are in the text."""
        status, said = answer.status, why or self.said(answer)
        told = f"{self.service} answered {status}" + (f": {said}" if said else "")
        if status in (401, 403):
            return AccessDenied(f"{told} (check the address, the key and its rights)")
        if status in (404, 410):
            return self.missing(f"{told} (check the address and what the fields name)")
        if status in (408, 425, 429) or status >= 500:
            asked = answer.retry_after()
            return Unavailable(told + (f" (it asks to wait {asked:.0f} s)" if asked else ""))
        if 300 <= status < 400:
            return InvalidInput(f"{told} (it redirects: write the address that it leads to)")
        return InvalidInput(told)

    def said(self, answer: Answer) -> str:
        """The service's own words about a refusal, in a line, without secrets."""
        data = answer.json()
        text = _words(data) if isinstance(data, dict) else ""
        if not text and "html" not in str(answer.headers.get("Content-Type", "")):
            text = answer.text
        return masked(" ".join(text.split()), self.secrets)[:_EXCERPT]


@lru_cache(maxsize=16)
def _pool(_pid: int, ca_file: str | None) -> urllib3.PoolManager:
    return urllib3.PoolManager(num_pools=16, maxsize=8, ca_certs=ca_file)


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """The text without any of the secrets, however they are escaped, nor long parts of those that are addresses."""
    hidden = set()
    for secret in filter(None, secrets):
        pieces = {secret, secret.strip()}
        if "://" in secret:
            parts = urlsplit(secret)
            pieces |= {part for part in re.split(r"[/?&=]", f"{parts.path}?{parts.query}") if len(part) >= 8}
            pieces |= {parts.password or "", parts.path if len(parts.path) > 1 else ""}
        for piece in filter(None, pieces):
            hidden |= {piece, quote(piece, safe=""), quote_plus(piece), json.dumps(piece)[1:-1]}
    for piece in sorted(hidden, key=len, reverse=True):
        text = text.replace(piece, "********")
    return text


def _reason(error: Exception) -> str:
    """Why there is no answer, without the address that urllib3 writes into its errors."""
    error = getattr(error, "reason", None) or error
    error = error if isinstance(error, Exception) else Exception(str(error))
    if isinstance(error, (urllib3.exceptions.NameResolutionError, socket.gaierror)):
        return "its host name is not known"
    timeouts = (urllib3.exceptions.TimeoutError, TimeoutError)
    # A connection that is refused counts as one of urllib3's time-outs.
    if isinstance(error, timeouts) and not isinstance(error, urllib3.exceptions.NewConnectionError):
        return "it did not answer in time"
    if isinstance(error.__cause__, OSError):
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    return text.partition("): ")[2] or text or type(error).__name__


def _words(data: Mapping[str, Any]) -> str:
    """The parts of an error's JSON that people understand; every service has names of its own."""
    found = []
    for key in ("message", "error", "description", "error_message", "errorMessages", "errors", "reason"):
        value = data.get(key)
        if isinstance(value, dict):
            value = value.get("message") or "; ".join(f"{name}: {text}" for name, text in value.items())
        if isinstance(value, list):
            value = "; ".join(_words(item) if isinstance(item, dict) else str(item) for item in value)
        if value and str(value) not in found:
            found.append(str(value))
    return "; ".join(found)
