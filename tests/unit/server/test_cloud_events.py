"""CloudEvents as events of our own."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from orchestrator.ids import time_of
from orchestrator.server import cloud_events
from orchestrator.server.foreign_ids import foreign_id
from orchestrator.server.schemas.events import Refusal, read_event

NOW = datetime(2026, 5, 6, 12, tzinfo=timezone.utc)


def cloud_event(**more: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order.created", **more}


def test_attributes_become_labels_and_an_object_is_the_payload() -> None:
    told = cloud_events.as_event(
        cloud_event(
            subject="orders/3", time="2026-05-06T13:00:00.123456789+02:00", data={"total": 4}, tenant="a", urgent=True,
            traceid=None,
        ),
        NOW,
    )  # fmt: skip
    event = read_event(told)
    assert event.event == "order.created"
    assert event.resource == {
        "resource.id": "/shop/orders/3",
        "resource.name": "orders/3",
        "cloudevents.source": "/shop",
        "cloudevents.subject": "orders/3",
        "cloudevents.tenant": "a",
        "cloudevents.urgent": "true",
    }
    assert event.related == [{"resource.id": "/shop", "resource.name": "/shop", "resource.role": "source"}]
    assert event.payload == {"total": 4, "cloudevents": {"id": "7"}}
    assert event.occurred == datetime(2026, 5, 6, 11, 0, 0, 123456, tzinfo=timezone.utc)


def test_source_and_id_make_the_id() -> None:
    def identifier(**more: Any) -> str:
        return str(cloud_events.as_event(cloud_event(time="2026-05-06T11:00:00Z", **more), NOW)["id"])

    assert identifier() == identifier(data={"other": 1})
    assert len({identifier(), identifier(id="8"), identifier(source="/else")}) == 3


def test_an_event_without_a_usable_time_has_an_id_of_the_day_it_came() -> None:
    for occurred in (None, NOW - timedelta(days=400), NOW + timedelta(days=2)):
        found = foreign_id(occurred, "x", NOW)
        assert time_of(found) == NOW.replace(hour=0)
        assert found == foreign_id(occurred, "x", NOW + timedelta(hours=3))


@pytest.mark.parametrize(
    ("kind", "body", "payload"),
    [
        ("application/json", b'{"a": 1}', {"a": 1}),
        ("application/vnd.shop+json; charset=utf-8", b"[1]", {"data": [1]}),
        ("text/plain", "größe".encode(), {"data": "größe"}),
        ("application/octet-stream", b"\x00\x01", {"data_base64": "AAE="}),
        ("", b"", {}),
    ],
)
def test_binary_data_of_any_type_is_kept(kind: str, body: bytes, payload: dict[str, Any]) -> None:
    headers = [("Ce-Specversion", "1.0"), ("Ce-Id", "7"), ("Ce-Source", "/shop"), ("Ce-Type", "a.b")]
    found = cloud_events.as_event(
        cloud_events.from_headers([*headers, ("Ce-Subject", "gr%C3%B6%C3%9Fe")], kind, body), NOW
    )
    assert found["payload"] == {**payload, "cloudevents": {"id": "7"}}
    assert found["resource"]["resource.name"] == "größe"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([], "a list"),
        (cloud_event(specversion="0.3"), "specversion: is '0.3'"),
        (cloud_event(id=""), "id: is missing"),
        (cloud_event(type=3), "type: must be a text; it is a number"),
        (cloud_event(time="yesterday"), "time: 'yesterday' is no time"),
        (cloud_event(time="2026-05-06T11:00:00"), "time: .* is no time"),
        (cloud_event(bad_name="x"), "bad_name: names of attributes"),
        (cloud_event(trace={"a": 1}), "trace: an extension is a text"),
        (cloud_event(data_base64="%"), "data_base64: is not base64"),
        (cloud_event(data=1, data_base64="AAE="), "data_base64: there is data as well"),
    ],
)
def test_what_is_wrong_is_named(raw: Any, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        cloud_events.as_event(raw, NOW)


def test_modes_are_told_by_their_headers() -> None:
    assert cloud_events.is_structured("application/cloudevents+json; charset=utf-8")
    assert cloud_events.is_structured("application/cloudevents-batch+json")
    assert cloud_events.is_structured("application/cloudevents+avro")
    assert not cloud_events.is_structured("application/json")
    assert cloud_events.is_binary({"Ce-Specversion": "1.0"})
    assert not cloud_events.is_binary({"Ce-Id": "1"})
