"""The generic webhook: templates, signatures, calls."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.webhook import Webhook
from orchestrator.errors import AccessDenied, InvalidInput

from ...standins import messengers


@pytest.fixture
def service() -> Iterator[messengers.Endpoint]:
    with messengers.Endpoint() as running:
        yield running


def hook(service: messengers.Endpoint, **fields: Any) -> Webhook:
    return Webhook(**{"url": f"{service.url}/hooks/{service.key}", **fields})


def test_no_message_can_break_a_json_template(service: messengers.Endpoint) -> None:
    template = '{"text": ["*{{ subject }}*: {{body}}", 1, null], "{{ body }}": true}'
    hook(service, template=template).notify('say "hi"\n\\ {{ subject }}', "a")
    assert json.loads(service.requests[0].body) == {
        "text": ['*a*: say "hi"\n\\ {{ subject }}', 1, None],
        "{{ body }}": True,
    }


def test_a_text_template_is_filled_in_as_it_is(service: messengers.Endpoint) -> None:
    hook(service, content_type="text/plain", template="{{ subject }} - {{ body }}", method="PUT").notify("ä", "s")
    assert service.requests[0].body.decode() == "s - ä"
    assert service.requests[0].media_type == "text/plain"
    assert service.requests[0].method == "PUT"


def test_the_signature_is_that_of_the_body(service: messengers.Endpoint) -> None:
    hook(service, signing_secret="canary-signing").notify("body")
    request = service.requests[0]
    wanted = hmac.new(b"canary-signing", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Signature-256"] == f"sha256={wanted}"


def test_headers_are_sent_and_stay_secret(service: messengers.Endpoint) -> None:
    block = hook(service, headers={"Authorization": "Bearer canary-token"})
    assert "canary-token" not in repr(block)
    service.failing(401, "canary-token is wrong")
    with pytest.raises(AccessDenied) as caught:
        block.notify("x")
    assert "canary-token" not in str(caught.value)
    block.notify("x")
    assert service.requests[1].headers["Authorization"] == "Bearer canary-token"


def test_any_endpoint_can_be_called(service: messengers.Endpoint) -> None:
    assert hook(service).call({"body": "x"}) == {"taken": 1}
    assert hook(service, content_type="text/csv", template="").call("a;b") == {"taken": 2}
    assert service.requests[1].body == b"a;b"
    assert hook(service, method="GET", content_type="text/plain", template="").call() == {"taken": 3}
    assert service.requests[-1].body == b""
    service.failing(200, "plain words")
    assert hook(service).call(None) == "plain words"


def test_a_message_is_cut_where_the_block_says(service: messengers.Endpoint) -> None:
    hook(service, max_length=100).notify("x" * 1000)
    assert len(json.loads(service.requests[0].body)["body"]) <= 100


@pytest.mark.parametrize(
    "fields",
    [
        {"template": "{not json"},
        {"headers": {"A:": "x"}},
        {"headers": {"A": "x\r\nB: y"}},
        {"headers": {"A": 1}},
        {"method": "BREW"},
        {"content_type": "x"},
        {"url": "nowhere"},
        {"timeout_s": 0},
    ],
)
def test_what_cannot_work_is_refused_when_written(service: messengers.Endpoint, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        hook(service, **fields)


def test_a_redirect_is_no_delivery(service: messengers.Endpoint) -> None:
    service.failing(301, "", Location="https://example.com/")
    with pytest.raises(InvalidInput, match="redirects"):
        hook(service).notify("x")
