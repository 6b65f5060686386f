"""Any HTTP endpoint that takes messages."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, SecretStr, model_validator

from orchestrator.block import Block, SecretDict
from orchestrator.errors import AccessDenied
from orchestrator.interfaces import Notifier

from .http_messages import Answer, Api, SecretAddress, cut

_PLACE = re.compile(r"\{\{\s*(body|subject)\s*\}\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_DEFAULT = '{"subject": "{{ subject }}", "body": "{{ body }}"}'


class Webhook(Block, Notifier):
    """Sends messages, or anything else, to an HTTP endpoint of your choice."""

    _name: ClassVar[str] = "Webhook"
    _slug: ClassVar[str] = "webhook"
    _logo: ClassVar[str] = "tabler:webhook"
    _docs_url: ClassVar[str] = "https://developer.mozilla.org/docs/Web/HTTP"
    _code_example: ClassVar[str] = """
        from orchestrator.blocks.webhook import Webhook

        Webhook(url="https://example.com/hooks/XXXX", signing_secret="...").save("intranet")
        Webhook.load("intranet").notify("The daily load is done.", subject="Loads")
        Webhook.load("intranet").call({"rows": 12})
        """

    url: SecretAddress = Field(
        description="Where requests go. It is kept like a secret: such addresses often are keys."
    )
    method: Literal["POST", "PUT", "PATCH", "GET", "DELETE"] = Field("POST", description="Method of the requests.")
    headers: SecretDict | None = Field(None, description="Header fields of the requests, such as Authorization.")
    content_type: str = Field(
        "application/json", pattern=r"^[\w.+-]+/[\w.+-]+$", description="What the body of a request is."
    )
    template: str = Field(
        _DEFAULT,
        description="Body of a message's request, with {{ subject }} and {{ body }} in it; JSON if content_type is.",
        json_schema_extra={"x-multiline": True},
    )
    max_length: int = Field(100_000, ge=100, le=10_000_000, description="Characters of a message; longer ones are cut.")
    signing_secret: SecretStr | None = Field(
        None,
        description="Signs the body of each request (HMAC with SHA-256), so that the endpoint can tell it is ours.",
    )
    signature_header: str = Field(
        "X-Signature-256",
        pattern=r"^[A-Za-z0-9-]+$",
        description="Header field of the signature, which is sha256= and hexadecimal digits.",
        json_schema_extra={"x-shown-when": {"method": ["POST", "PUT", "PATCH"]}},
    )
    timeout_s: float = Field(60, gt=0, le=600, description="Seconds to wait for an answer.")

    @model_validator(mode="after")
    def _usable(self) -> Webhook:
        if self._is_json():
            try:
                json.loads(self.template)
            except ValueError as error:
                raise ValueError(f"the template is no JSON, but the content type is: {error}") from None
        for name, value in (self.headers.get_secret_value() if self.headers else {}).items():
            if not _HEADER_NAME.fullmatch(name):
                raise ValueError(f"{name!r} cannot name a header field")
            if not isinstance(value, str) or any(char in value for char in "\r\n\0"):
                raise ValueError(f"the header field {name} must be a text of one line")
        return self

    def notify(self, body: str, subject: str = "") -> None:
        """Send the template, filled in."""
        self._send(self._filled(cut(body, self.max_length), subject))

    def call(self, content: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        """Send ``content`` (bytes or a text as it is, all else as JSON; None: nothing) in place of the template.

        Args:
            headers: Header fields beside the block's own, which go before them.

        Returns:
            The answer's JSON, or its text where it is none.

        Raises:
            Unavailable, AccessDenied, InvalidInput: As :meth:`notify` does.
        """
        if content is None or isinstance(content, bytes):
            sent = content
        else:
            text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
            sent = text.encode("utf-8", "replace")
        answer = self._send(sent, headers)
        found = answer.json()
        return answer.text if found is None else found

    def test(self) -> str:
        """Reach the host; sending is all that could be tried more."""
        return f"{self._api().reach()} answers; no request was sent."

    def _send(self, body: bytes | None, more: Mapping[str, str] | None = None) -> Answer:
        own = {name.lower() for name in self._headers()}
        headers = {name: value for name, value in (more or {}).items() if name.lower() not in own}
        if body is not None:
            headers["Content-Type"] = self.content_type
        if self.signing_secret:
            key = self.signing_secret.get_secret_value().encode()
            headers[self.signature_header] = "sha256=" + hmac.new(key, body or b"", hashlib.sha256).hexdigest()
        return self._api().call(self.method, body=body, headers=headers)

    def _filled(self, body: str, subject: str) -> bytes | None:
        if self.method in ("GET", "DELETE"):
            return None
        values = {"body": body, "subject": subject}
        if self._is_json():  # texts are filled in after the JSON is read, so that no message can break it
            filled: Any = _fill(json.loads(self.template), values)
            return json.dumps(filled, ensure_ascii=False).encode("utf-8", "replace")
        return str(_fill(self.template, values)).encode("utf-8", "replace")

    def _is_json(self) -> bool:
        return self.content_type == "application/json" or self.content_type.endswith("+json")

    def _api(self) -> Api:
        url = self.url.get_secret_value()
        headers = {str(key): str(value) for key, value in self._headers().items()}
        secrets = [url, *headers.values(), *(value.partition(" ")[2] for value in headers.values())]
        if self.signing_secret:
            secrets.append(self.signing_secret.get_secret_value())
        return Api("the webhook", url, headers, tuple(secrets), self.timeout_s, missing=AccessDenied)

    def _headers(self) -> dict[str, Any]:
        return self.headers.get_secret_value() if self.headers else {}


def _fill(template: Any, values: dict[str, str]) -> Any:
    if isinstance(template, str):
        return _PLACE.sub(lambda match: values[match[1]], template)
    if isinstance(template, dict):
        return {key: _fill(value, values) for key, value in template.items()}
    return [_fill(item, values) for item in template] if isinstance(template, list) else template
