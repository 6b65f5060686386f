"""What came to a webhook: read leniently, since whoever sends it will not change for us, and kept without secrets."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from ....clock import to_text
from ....serializers import loads
from ...db.models import Webhook, WebhookDelivery
from ...webhook_presets import Example

#: Largest body, in bytes.
BODY_MAX = 1024 * 1024
#: Names of headers and query arguments that carry secrets, or proofs of one.
_SECRET = re.compile(r"authorization|cookie|signature|hmac|token|secret|api[-_]?key|password|\bsig\b", re.IGNORECASE)
_CHAIN = re.compile(r"([0-9a-fA-F-]{32,36});([0-9]{1,4})")
_JSON_START = (b"{", b"[")


@dataclass(frozen=True)
class Incoming:
    """One delivery as it came."""

    method: str
    #: All headers, names in lower case.
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    body: bytes
    content_type: str
    received: datetime

    def chain(self) -> dict[str, str] | None:
        """The chain that our own call-webhook actions name, as a related resource."""
        told = _CHAIN.fullmatch(self.headers.get("x-orchestrator-chain", "").strip())
        if told is None:
            return None
        try:
            chain = uuid.UUID(told[1])
        except ValueError:
            return None
        return {
            "resource.id": f"orchestrator.chain.{chain}",
            "resource.role": "chain",
            "chain.depth": str(int(told[2])),
        }

    def context(self, hook: Webhook) -> dict[str, Any]:
        """What a template sees of it."""
        body = decoded(self.body, self.content_type)
        return {
            "method": self.method,
            "headers": kept_headers(hook, self.headers),
            "query": without_secrets(self.query),
            "body": body,
            "text": body if isinstance(body, str) else _text(self.body),
            "webhook": {"id": str(hook.id), "name": hook.name},
            "received": to_text(self.received),
        }


def of_delivery(delivery: WebhookDelivery) -> Incoming:
    """A kept delivery as it came, but for its secrets."""
    return Incoming(
        delivery.method,
        delivery.headers,
        delivery.query,
        bytes(delivery.body),
        delivery.content_type,
        delivery.received,
    )


def of_example(example: Example, now: datetime) -> Incoming:
    """A preset's example as if it came now."""
    headers = {name.lower(): value for name, value in example.headers.items()}
    headers["content-type"] = example.content_type
    return Incoming("POST", headers, {}, example.data(), example.content_type, now)


def kept_headers(hook: Webhook, headers: Mapping[str, str]) -> dict[str, Any]:
    """The headers without secrets, and without the one that carries the webhook's signature."""
    signed_by = str((hook.signature or {}).get("header", "")).lower()
    return without_secrets({name: value for name, value in headers.items() if name != signed_by})


def without_secrets(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values whose names do not tell of secrets. Postgres cannot store U+0000, which nobody sends in good faith."""
    kept = {name: value for name, value in values.items() if not _SECRET.search(name)}
    return {name.replace("\x00", ""): _clean(value) for name, value in kept.items()}


def decoded(body: bytes, content_type: str) -> Any:
    """A body by its content: JSON, a form, or text; None where there is none.

    What looks like JSON is read as JSON whatever it is called: Amazon, for one, calls it text/plain.
    """
    if not body.strip():
        return None
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/x-www-form-urlencoded":
        return {name: values if len(values) > 1 else values[0] for name, values in _form(body).items()}
    if kind.endswith("json") or body.lstrip()[:1] in _JSON_START:
        try:
            return loads(body)
        except ValueError:
            pass
    return _text(body)


def _form(body: bytes) -> dict[str, list[str]]:
    try:
        return parse_qs(_text(body), keep_blank_values=True, max_num_fields=1000)
    except ValueError:
        return {}


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "replace").decode()
    return [_clean(item) for item in value] if isinstance(value, list) else value
