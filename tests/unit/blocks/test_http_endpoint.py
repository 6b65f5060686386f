"""An endpoint: what counts as up, what is told of it, what stays with its host."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import ValidationError

from orchestrator.blocks.http_endpoint import HTTPEndpoint
from orchestrator.errors import AccessDenied, Unavailable
from orchestrator.interfaces import Observed

from ...polling import free_port
from ...standins.http_service import HttpService, Request


class Shop(HttpService):
    """Says how it is, to whom may know."""

    wanted: str | None = None

    def answer(self, request: Request) -> Any:
        if self.wanted and request.headers["Authorization"] != self.wanted:
            return 401, {"error": "who are you?"}
        if request.path == "/moved":
            return 302, "", {"Location": request.query["to"]}
        if request.path == "/echo":
            return {"method": request.method, "body": request.body.decode(), "header": request.headers["X-Key"]}
        return {"status": "ok", "databases": [{"name": "main", "up": True}], "none": None}


@pytest.fixture
def shop() -> Iterator[Shop]:
    with Shop() as service:
        yield service


def endpoint(shop: Shop, path: str = "/health", **fields: Any) -> HTTPEndpoint:
    return HTTPEndpoint(url=shop.url + path, **fields)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ""),
        ({"expected_status": [204, 201]}, "answered 200, not 204 or 201"),
        ({"expected_text": "ok"}, ""),
        ({"expected_text": "fine"}, "does not hold 'fine'"),
        ({"json_path": "status"}, ""),
        ({"json_path": "databases[0].up", "json_value": True}, ""),
        ({"json_path": "databases[1].up"}, "no JSON with databases"),
        ({"json_path": "databases[0].name.x"}, "no JSON with databases"),
        ({"json_path": "status", "json_value": "well"}, 'its status is "ok"'),
        ({"json_path": "none"}, "no JSON with none"),
    ],
)
def test_what_counts_as_up(shop: Shop, fields: dict[str, Any], reason: str) -> None:
    seen = endpoint(shop, **fields).check()
    assert seen.state == ("down" if reason else "up")
    assert reason in seen.reason
    assert seen.status == 200


def test_an_answer_that_is_late_is_slow(shop: Shop) -> None:
    seen = endpoint(shop, slow_s=1e-9).check()
    assert (seen.state, seen.status) == ("slow", 200)
    assert "it took" in seen.reason


def test_one_that_is_away_is_down_and_its_test_says_why(shop: Shop) -> None:
    away = HTTPEndpoint(url=f"http://127.0.0.1:{free_port()}/canary?key=canary-query")
    seen = away.check()
    assert (seen.state, seen.status) == ("down", None)
    with pytest.raises(Unavailable, match="is down: the endpoint cannot be reached"):
        away.test()
    assert "canary-query" not in seen.reason
    shop.failing(403)
    with pytest.raises(AccessDenied):
        endpoint(shop).test()
    assert "answered 200" in endpoint(shop).test()


def test_logins(shop: Shop) -> None:
    shop.wanted = f"Basic {base64.b64encode(b'me:canary-password').decode()}"
    assert endpoint(shop, username="me", password="canary-password").check().state == "up"
    shop.wanted = "Bearer canary-token"
    block = endpoint(shop, token="canary-token")
    assert block.check().state == "up"
    assert "canary" not in repr(block)
    assert endpoint(shop, token="other").check().status == 401


def test_secrets_stay_with_the_first_host(shop: Shop) -> None:
    with Shop() as other:
        block = endpoint(shop, f"/moved?to={other.url}/echo", token="canary", headers={"X-Key": "canary-key"})
        assert block.request().json()["header"] is None
        assert other.requests[0].headers["Authorization"] is None
    assert endpoint(shop, "/moved?to=/echo", headers={"X-Key": "k"}).request().json()["header"] == "k"


def test_redirects_end(shop: Shop) -> None:
    seen = endpoint(shop, "/moved?to=/moved%3Fto%3D/moved").check()
    assert seen.state == "down"
    shop.requests.clear()
    loop = endpoint(shop, "/moved?to=/health", follow_redirects=False).check()
    assert (loop.state, loop.status) == ("down", 302)
    assert len(shop.requests) == 1


def test_requests_go_below_the_address(shop: Shop) -> None:
    answer = endpoint(shop, "").request("POST", "/echo", payload={"a": 1}, headers={"X-Key": "mine"})
    assert answer.json() == {"method": "POST", "body": '{"a": 1}', "header": "mine"}
    assert endpoint(shop, "/echo", method="PUT").request(body=b"x").json()["method"] == "PUT"


def test_the_endpoint_is_a_resource_without_its_query(shop: Shop) -> None:
    block, other = endpoint(shop, "/health?key=canary"), endpoint(shop, "/health?key=other")
    (found,) = block.discover()
    assert found.kind == "http.endpoint"
    assert found.labels["up"] is True
    assert found.labels["status"] == 200
    assert found.volatile == {"latency_ms"}
    assert "canary" not in str(found)
    assert found.id.startswith(f"{shop.url}/health?")
    assert found.id != next(other.discover()).id
    shop.failing(500)
    (found,) = block.discover()
    assert found.labels["up"] is False


def test_only_changes_are_told_and_each_once(shop: Shop) -> None:
    block = endpoint(shop)
    events: list[Observed] = []
    cursor = block.observe(None, events.append)
    cursor = block.observe(cursor, events.append)
    assert events == []
    shop.failing(500, times=3)
    again = block.observe(cursor, events.append)
    block.observe(cursor, events.append)  # the look before was not recorded: the same happening has the same key
    assert [event.event for event in events] == ["http.endpoint.down"] * 2
    assert events[0].key == events[1].key
    assert events[0].payload["status"] == 500
    assert events[0].payload["before"] == "up"
    assert events[0].resource.labels["up"] is False
    cursor = block.observe(again, events.append)
    cursor = block.observe(cursor, events.append)
    assert [event.event for event in events[2:]] == ["http.endpoint.up"]
    block.model_copy(update={"slow_s": 1e-9}).observe(cursor, events.append)
    assert events[-1].event == "http.endpoint.slow"
    assert len({event.key for event in events}) == 3


def test_a_first_look_at_what_is_down_tells_nothing(shop: Shop) -> None:
    shop.failing(500)
    events: list[Observed] = []
    assert endpoint(shop).observe(None, events.append)["state"] == "down"
    assert events == []


@pytest.mark.parametrize(
    "fields",
    [{"token": "t", "username": "u", "password": "p"}, {"username": "u"}, {"headers": {"A": "x\ny"}},
     {"json_path": "a..b"}, {"json_path": "a[x]"}, {"expected_status": []}, {"timeout_s": 0}, {"method": "BREW"}],
)  # fmt: skip
def test_what_cannot_work_is_refused_when_written(shop: Shop, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        endpoint(shop, **fields)


def test_certificates_must_be_trusted_unless_told_otherwise(tmp_path: Path) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with Shop(context) as shop:
        assert "certificate" in endpoint(shop).check().reason.lower()
        assert endpoint(shop, ca_file=str(tmp_path / "ca.pem")).check().state == "up"
