"""An HTTP endpoint: asked for data, and watched whether it is up."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

import urllib3
from pydantic import Field, JsonValue, SecretStr, model_validator

from orchestrator.block import Block, SecretDict
from orchestrator.errors import AccessDenied, Unavailable
from orchestrator.interfaces import Discoverable, Observed, Resource

from .http_messages import Answer, Api, HttpAddress, masked

# What is read of an answer at most: an endpoint is no storage.
_LONGEST_ANSWER = 32 << 20
_REDIRECTS = 5


@dataclass(frozen=True)
class EndpointState:
    """What a look at an endpoint saw.

    Attributes:
        state: ``up``, ``slow`` (right, but late) or ``down``.
        status: Of HTTP; None: there was no answer.
        latency_s: Seconds until the whole answer was there.
        reason: What was wrong, in a line; empty when nothing was.
    """

    state: Literal["up", "slow", "down"]
    status: int | None
    latency_s: float
    reason: str = ""


class HTTPEndpoint(Block, Discoverable):
    """An address of HTTP that flows ask, and whose health is watched."""

    _name: ClassVar[str] = "HTTP endpoint"
    _slug: ClassVar[str] = "http-endpoint"
    _logo: ClassVar[str] = "tabler:world-www"
    _docs_url: ClassVar[str] = "https://developer.mozilla.org/docs/Web/HTTP"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.http_endpoint import HTTPEndpoint

        HTTPEndpoint(url="https://api.example.com/health", json_path="status", json_value="ok").save("api")
        HTTPEndpoint.load("api").check().state
        HTTPEndpoint.load("api").request("GET").json()
        """

    url: HttpAddress = Field(description="The address; secrets belong into the fields below.")
    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] = Field(
        "GET", description="Method of a look; it should change nothing."
    )
    headers: SecretDict | None = Field(None, description="Header fields of each request.")
    username: str = Field("", description="User to log in as (basic authentication); empty: none.")
    password: SecretStr | None = Field(None, description="The user's password.")
    token: SecretStr | None = Field(None, description="Bearer token, in place of user and password.")
    expected_status: list[int] = Field(
        default_factory=lambda: [200], min_length=1, description="Status codes that mean that it is up."
    )
    expected_text: str = Field("", description="Text that the answer must hold; empty: any.")
    json_path: str = Field(
        "",
        pattern=r"^([^.\[\]\s]+(\[\d+\])*(\.[^.\[\]\s]+(\[\d+\])*)*)?$",
        description="Place in the answer's JSON that must be there: status, or databases[0].state; empty: none.",
    )
    json_value: JsonValue = Field(None, description="Value that must stand in that place; empty: any but null.")
    timeout_s: float = Field(10, gt=0, le=600, description="Seconds to wait for the answer.")
    slow_s: float | None = Field(None, gt=0, description="Seconds from which on it counts as slow; empty: never.")
    follow_redirects: bool = Field(True, description="Follow redirects; secrets stay with the first host.")
    verify: bool = Field(True, description="Insist on a certificate that is trusted.")
    ca_file: str | None = Field(None, description="File of certificates to trust (PEM), in place of the system's.")

    @model_validator(mode="after")
    def _one_login(self) -> HTTPEndpoint:
        if self.token and (self.username or self.password):
            raise ValueError("give either token, or username and password")
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password go together")
        for name, value in self._extra().items():
            if not isinstance(value, str) or any(char in f"{name}{value}" for char in "\r\n\0"):
                raise ValueError(f"the header field {name!r} must be a text of one line")
        return self

    def request(
        self,
        method: str | None = None,
        path: str = "",
        *,
        payload: Any = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Ask the endpoint; returns whatever it answers: ``status``, ``headers``, ``body``, ``text``, ``json()``.

        Args:
            method: Of HTTP; None: the block's.
            path: Put behind the block's address.
            payload: Sent as JSON.
            body: Sent as it is.
            headers: Beside the block's.

        Raises:
            Unavailable: There is no answer, or one that is too long (over 32 MiB).
        """
        fields = {**self._headers(), **(headers or {})}
        if payload is not None:
            body = json.dumps(payload).encode()
            fields.setdefault("Content-Type", "application/json")
        return self._ask(method or self.method, self.url + path, body, fields)

    def check(self) -> EndpointState:
        """Look once whether the endpoint is as it should be. It never raises: what is wrong is the ``reason``."""
        began = time.monotonic()
        try:
            answer = self._ask(self.method, self.url, None, self._headers())
        except Unavailable as error:
            return EndpointState("down", None, time.monotonic() - began, str(error))
        took = time.monotonic() - began
        if reason := self._wrong(answer):
            return EndpointState("down", answer.status, took, reason)
        if self.slow_s is not None and took >= self.slow_s:
            return EndpointState("slow", answer.status, took, f"it took {took:.2f} s")
        return EndpointState("up", answer.status, took)

    def test(self) -> str:
        """Look once."""
        seen = self.check()
        if seen.state == "down":
            raise (AccessDenied if seen.status in (401, 403) else Unavailable)(f"{self._id()} is down: {seen.reason}")
        return f"It answered {seen.status} within {seen.latency_s:.2f} s."

    def discover(self) -> Iterator[Resource]:
        """The endpoint itself, up or not."""
        yield self._resource(self.check())

    def observe(self, cursor: Any, emit: Callable[[Observed], None]) -> Any:
        """Look once, and tell ``http.endpoint.down``, ``.slow`` or ``.up`` where that is not what was seen last."""
        seen, now = self.check(), datetime.now(timezone.utc)
        last = cursor if isinstance(cursor, dict) else {}
        if last.get("state") == seen.state:
            return last
        if last:
            payload = {"status": seen.status, "latency_s": round(seen.latency_s, 3), "reason": seen.reason}
            payload["before"] = last.get("state")
            key = f"{self._id()} {seen.state} after {last.get('since')}"
            emit(Observed(f"http.endpoint.{seen.state}", self._resource(seen), now, payload, key))
        return {"state": seen.state, "since": now.isoformat()}

    def _resource(self, seen: EndpointState) -> Resource:
        parts = urlsplit(self.url)
        labels: dict[str, str | int | float | bool | None] = {
            "up": seen.state != "down",
            "status": seen.status,
            "latency_ms": round(seen.latency_s * 1000),
            "host": parts.hostname,
        }
        name = f"{parts.netloc}{parts.path}"
        return Resource(self._id(), "http.endpoint", name, labels, volatile=frozenset({"latency_ms"}))

    def _id(self) -> str:
        # Queries often hold keys: only their digest tells two endpoints apart.
        bare, _, query = self.url.partition("?")
        return bare + (f"?{hashlib.sha256(query.encode()).hexdigest()[:12]}" if query else "")

    def _wrong(self, answer: Answer) -> str:
        if answer.status not in self.expected_status:
            return f"it answered {answer.status}, not {' or '.join(map(str, self.expected_status))}"
        if self.expected_text and self.expected_text not in answer.text:
            return f"its answer does not hold {self.expected_text!r}"
        if self.json_path:
            found = _at(answer.json(), self.json_path)
            if found is None:
                return f"its answer is no JSON with {self.json_path}"
            if self.json_value is not None and found != self.json_value:
                return masked(f"its {self.json_path} is {json.dumps(found)[:100]}", self._secrets())
        return ""

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        timeout = urllib3.Timeout(connect=min(10.0, self.timeout_s), read=self.timeout_s)
        retries = urllib3.Retry(
            total=None, connect=0, read=0, other=0, status=0, redirect=_REDIRECTS if self.follow_redirects else False,
            raise_on_redirect=True, remove_headers_on_redirect=[*headers],
        )  # fmt: skip
        api = Api("the endpoint", url, secrets=self._secrets())
        try:
            response = _pool(os.getpid(), self.ca_file, self.verify).request(
                method, url, body=body, headers=dict(headers), timeout=timeout, retries=retries,
                redirect=self.follow_redirects, preload_content=False,
            )  # fmt: skip
            try:
                content = response.read(_LONGEST_ANSWER + 1, decode_content=True)
            finally:
                response.close()
        except urllib3.exceptions.MaxRetryError as error:
            if isinstance(error.reason, urllib3.exceptions.ResponseError):
                raise Unavailable("the endpoint redirects without end") from None
            raise api.unreachable(error) from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise api.unreachable(error) from None
        if len(content) > _LONGEST_ANSWER:
            raise Unavailable(f"the endpoint's answer is longer than {_LONGEST_ANSWER >> 20} MiB")
        return Answer(response.status, response.headers, content)

    def _headers(self) -> dict[str, str]:
        fields = {"User-Agent": "orchestrator", **self._extra()}
        if self.token:
            fields["Authorization"] = f"Bearer {self.token.get_secret_value()}"
        elif self.password:
            login = f"{self.username}:{self.password.get_secret_value()}"
            fields["Authorization"] = urllib3.make_headers(basic_auth=login)["authorization"]
        return fields

    def _extra(self) -> dict[str, Any]:
        return self.headers.get_secret_value() if self.headers else {}

    def _secrets(self) -> tuple[str, ...]:
        given = [field.get_secret_value() for field in (self.password, self.token) if field]
        return (*given, *map(str, self._extra().values()))


def _at(data: Any, path: str) -> Any:
    """The value at ``a.b[0].c`` in decoded JSON; None where there is none."""
    for step in path.replace("[", ".[").split("."):
        if step.startswith("["):
            index = int(step[1:-1])
            data = data[index] if isinstance(data, list) and index < len(data) else None
        else:
            data = data.get(step) if isinstance(data, dict) else None
    return data


@lru_cache(maxsize=16)
def _pool(_pid: int, ca_file: str | None, verify: bool) -> urllib3.PoolManager:
    if not verify:
        # An assertion of no host name, too: the certificate is not looked at.
        return urllib3.PoolManager(cert_reqs="CERT_NONE", assert_hostname=False)
    return urllib3.PoolManager(ca_certs=ca_file, cert_reqs="CERT_REQUIRED")
