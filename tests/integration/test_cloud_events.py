"""CloudEvents over HTTP, by the SDK that the CloudEvents project publishes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent
from flask import Flask
from flask.testing import FlaskClient

from orchestrator.clock import now

from ..api import ClientAs

EVENTS = "/api/v1/events"


def order(identifier: str = "1", data: Any = None, at: datetime | None = None) -> CloudEvent:
    attributes = {
        "id": identifier, "source": "https://shop.example/orders", "type": "order.created", "subject": "3 of 4",
        "time": at or now(), "specversion": "1.0",
    }  # fmt: skip
    return CloudEvent(attributes=attributes, data=data or {"total": 5})


@pytest.fixture
def client(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def stored(client: FlaskClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(EVENTS + "?event=order.*").json["items"]  # type: ignore[index]
    return found


def test_binary_and_structured_are_the_same_event(client: FlaskClient) -> None:
    at = now()
    for message in (http.to_binary_event(order(at=at)), http.to_structured_event(order(at=at))):
        answer = client.post(EVENTS, data=message.body, headers=message.headers)
        assert (answer.status_code, answer.json) == (202, {"accepted": 1, "refused": []})
    [event] = stored(client)
    assert (event["event"], event["source"]) == ("order.created", "key")
    assert event["resource"]["resource.id"] == "https://shop.example/orders/3 of 4"
    assert event["payload"]["total"] == 5


def test_a_batch_names_what_it_refuses_and_one_alone_is_422(client: FlaskClient) -> None:
    batch = [
        {"specversion": "1.0", "id": "1", "source": "s", "type": "order.created"},
        {"specversion": "1.0", "id": "2", "source": "s"},
        {"specversion": "1.0", "id": "3", "source": "s", "type": "flow-run.completed"},
        {"specversion": "1.0", "id": "4", "source": "s", "type": "order.paid"},
    ]
    answer = client.post(EVENTS, json=batch, content_type="application/cloudevents-batch+json")
    assert answer.status_code == 202
    assert answer.json is not None
    assert answer.json["accepted"] == 2
    assert [(one["index"], one["code"]) for one in answer.json["refused"]] == [(1, "invalid"), (2, "reserved")]
    assert {event["event"] for event in stored(client)} == {"order.created", "order.paid"}

    alone = client.post(EVENTS, json=batch[1], content_type="application/cloudevents+json")
    assert alone.status_code == 422
    assert alone.json["message"].endswith("type: is missing; every CloudEvent has one")  # type: ignore[index]
    large = {**batch[0], "data": "x" * 1_600_000}
    assert client.post(EVENTS, json=large, content_type="application/cloudevents+json").status_code == 413
    assert client.post(EVENTS, json={}, content_type="application/cloudevents-batch+json").status_code == 422


def test_other_formats_and_keys_without_the_right_are_refused(client: FlaskClient, client_as: ClientAs) -> None:
    assert client.post(EVENTS, data=b"x", content_type="application/cloudevents+avro").status_code == 415
    assert client.post(EVENTS, data=b"{", content_type="application/cloudevents+json").status_code == 400
    message = http.to_binary_event(order())
    for role, code in (("viewer", 403), ("", 401)):
        assert client_as(role).post(EVENTS, data=message.body, headers=message.headers).status_code == code
    broken = {**message.headers, "content-type": "application/json"}
    refused = client.post(EVENTS, data=b"{", headers=broken)
    assert refused.status_code == 422
    assert "data: is not the JSON" in refused.json["message"]  # type: ignore[index]


def test_the_address_agrees_to_deliveries_of_those_who_may_send(client_as: ClientAs, app: Flask) -> None:
    asked = {"WebHook-Request-Origin": "events.example.com", "WebHook-Request-Rate": "120"}
    for role in ("editor", "agent"):
        answer = client_as(role).options(EVENTS, headers=asked)
        assert answer.status_code == 200
        assert answer.headers["WebHook-Allowed-Origin"] == "events.example.com"
        assert answer.headers["WebHook-Allowed-Rate"] == "*"
        assert "POST" in answer.headers["Allow"]
    for answer, status in ((app.test_client().options(EVENTS, headers=asked), 401),
                           (client_as("viewer").options(EVENTS, headers=asked), 403)):  # fmt: skip
        assert answer.status_code == status
        assert "WebHook-Allowed-Origin" not in answer.headers


def test_who_asks_nothing_or_nonsense_is_granted_nothing(client: FlaskClient) -> None:
    plain = client.options(EVENTS)
    assert (plain.status_code, "WebHook-Allowed-Origin" in plain.headers) == (200, False)
    origin = {"WebHook-Request-Origin": "events.example.com"}
    wrong = [{"WebHook-Request-Origin": text} for text in ("", "two names", "a..b", "x" * 300)]
    wrong += [{**origin, "WebHook-Request-Rate": text} for text in ("0", "-1", "many", "1.5", "")]
    for headers in wrong:
        refused = client.options(EVENTS, headers=headers)
        assert refused.status_code == 400, headers
        assert list(headers)[-1] in refused.json["message"]  # type: ignore[index]
        assert "WebHook-Allowed-Origin" not in refused.headers
