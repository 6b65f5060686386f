"""Pings: addresses that jobs of other schedulers call."""

from __future__ import annotations

import subprocess
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient

from orchestrator.client import Client
from orchestrator.errors import Conflict

from ..api import ClientAs
from ..live_api import Api

PINGS = "/api/v1/pings"


@pytest.fixture
def client(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def made(client: FlaskClient, name: str = "backup", **more: Any) -> str:
    answer = client.post(PINGS, json={"name": name, **more})
    assert answer.status_code == 201
    return urlsplit(answer.json["url"]).path  # type: ignore[index]


def told(client: FlaskClient, event: str = "ping.*") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(f"/api/v1/events?event={event}").json["items"]  # type: ignore[index]
    return [one for one in found if one["event"] in ("ping.started", "ping.succeeded", "ping.failed")]


def test_a_job_tells_its_start_and_its_end(client: FlaskClient, client_as: ClientAs) -> None:
    path, nobody = made(client), client_as("")
    assert nobody.get(f"{path}/start").status_code == 204
    assert client.get(f"{PINGS}/backup").json["state"] == "started"  # type: ignore[index]
    assert nobody.post(f"{path}/3", data="line\n" * 5000 + "disk \0full\n").status_code == 204
    end, start = told(client)
    assert (start["event"], end["event"]) == ("ping.started", "ping.failed")
    assert start["resource"] == {"resource.id": "ping.backup", "resource.name": "backup", "resource.kind": "ping"}
    assert (end["payload"]["exit_code"], end["payload"]["method"]) == (3, "POST")
    assert end["payload"]["duration_s"] >= 0
    assert end["payload"]["output"].endswith("line\ndisk full\n")
    assert len(end["payload"]["output"]) == 10_000
    shown = client.get(f"{PINGS}/backup").json
    assert shown is not None
    assert (shown["state"], shown["started"]) == ("failed", None)
    assert shown["last_started"] < shown["last_failed"] == shown["heard"]
    assert shown["last_succeeded"] is None


@pytest.mark.parametrize(
    ("ending", "event"),
    [("", "ping.succeeded"), ("/ok", "ping.succeeded"), ("/0", "ping.succeeded"), ("/fail", "ping.failed"),
     ("/255", "ping.failed")],
)  # fmt: skip
def test_every_method_and_ending(client: FlaskClient, ending: str, event: str) -> None:
    path = made(client, resource_id="cron.backup")
    for method in (client.get, client.post, client.head):
        assert method(path + ending + "?run=7").status_code == 204
    found = told(client)
    assert {(one["event"], one["resource"]["resource.id"], one["payload"]["run"]) for one in found} == {
        (event, "cron.backup", "7")
    }
    assert [one["payload"]["method"] for one in found] == ["HEAD", "POST", "GET"]


def test_what_is_no_address_is_not_found(client: FlaskClient) -> None:
    path = made(client)
    for wrong in ("/ping/nothing", f"{path}/256", f"{path}/-1", f"{path}/done", f"{path}/²", f"{path}/0003"):
        assert client.get(wrong).status_code == 404, wrong
    assert client.get(f"{path}?other=1").status_code == 422
    assert told(client) == []


def test_an_address_is_shown_once_and_can_be_replaced(client: FlaskClient, client_as: ClientAs) -> None:
    path = made(client)
    assert "url" not in client.get(f"{PINGS}/backup").json  # type: ignore[operator]
    assert client.post(PINGS, json={"name": "backup"}).status_code == 409
    rotated = client.post(f"{PINGS}/backup/rotate").json["url"]  # type: ignore[index]
    assert client.get(path).status_code == 404
    assert client.get(urlsplit(rotated).path).status_code == 204
    assert client_as("viewer").post(f"{PINGS}/backup/rotate").status_code == 403
    [listed] = client.get(f"{PINGS}?name=BACK").json["items"]  # type: ignore[index]
    assert listed["name"] == "backup"
    assert client.delete(f"{PINGS}/backup").status_code == 204
    assert client.get(urlsplit(rotated).path).status_code == 404
    changes = client.get("/api/v1/events?event=ping.*").json["items"]  # type: ignore[index]
    assert {"ping.created", "ping.rotated", "ping.deleted"} <= {one["event"] for one in changes}
    assert all(path.rpartition("/")[2] not in str(one) for one in changes)


def test_nobody_else_may_tell_pings(client: FlaskClient) -> None:
    answer = client.post("/api/v1/events", json=[{"event": "ping.succeeded", "resource": {"resource.id": "ping.x"}}])
    assert answer.json["refused"][0]["code"] == "reserved"  # type: ignore[index]


def test_a_large_output_does_not_lose_the_ping(api: Api) -> None:
    client = Client.from_settings()
    url = client.post("pings", {"name": "backup"})["url"]
    script = f"head -c 20000000 /dev/zero | tr '\\0' x | curl -fsS --data-binary @- {url}/1"
    subprocess.run(["sh", "-c", script], check=True, timeout=120)
    [event] = client.get("events", {"event": "ping.failed"})["items"]
    assert event["payload"]["output"] == "x" * 10_000
    with pytest.raises(Conflict, match="ping rotate backup"):
        client.post("pings", {"name": "backup"})
