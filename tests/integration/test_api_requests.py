"""How requests are read and refused (pains 64 and 69): one shape of error, nothing ignored."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError

from orchestrator.server.api.access import open_to_all

from ..api import ClientAs

LISTS = [
    *("flows", "deployments", "schedules", "flow-runs", "task-runs", "artifacts", "events"),
    *("work-queues", "agents", "block-types", "blocks", "api-keys"),
]


@pytest.fixture
def admin(client_as: ClientAs) -> FlaskClient:
    return client_as("admin")


def shape(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body: dict[str, Any] = answer.json
    assert set(body) == {"code", "status", "message", "errors"}
    assert body["code"] == status
    return body


@pytest.mark.parametrize("noun", LISTS)
def test_every_list_pages_and_refuses_typos(admin: FlaskClient, noun: str) -> None:
    assert set(admin.get(f"/api/v1/{noun}?limit=1").json) == {"items", "next"}
    assert list(shape(admin.get(f"/api/v1/{noun}?stat=FAILED"), 422)["errors"]) == ["stat"]
    for limit in ("0", "201", "3as", "", "-1"):
        assert list(shape(admin.get(f"/api/v1/{noun}?limit={limit}"), 422)["errors"]) == ["limit"]
    assert list(shape(admin.get(f"/api/v1/{noun}?cursor=nonsense"), 422)["errors"]) == ["cursor"]
    assert list(shape(admin.get(f"/api/v1/{noun}?limit=1&limit=2"), 422)["errors"]) == ["limit"]


def test_pages_hold_together(admin: FlaskClient) -> None:
    for number in range(5):
        assert admin.post("/api/v1/work-queues", json={"name": f"q{number}"}).status_code == 201
        admin.post("/api/v1/api-keys", json={"name": f"k{number}", "role": "viewer"})
    for noun, wanted in [
        ("work-queues", [f"q{n}" for n in range(5)]),
        ("api-keys", ["admin of the tests", *(f"k{n}" for n in range(5))]),
    ]:
        names: list[str] = []
        cursor = ""
        while cursor is not None:
            page = admin.get(f"/api/v1/{noun}?limit=2" + (f"&cursor={cursor}" if cursor else "")).json
            names += [item["name"] for item in page["items"]]
            cursor = page["next"]
        assert names == wanted


def test_views_without_arguments_refuse_them(admin: FlaskClient) -> None:
    admin.post("/api/v1/work-queues", json={"name": "q"})
    assert list(shape(admin.get("/api/v1/work-queues/q?x=1"), 422)["errors"]) == ["x"]
    assert list(shape(admin.delete("/api/v1/work-queues/q", json={"force": True}), 422)["errors"]) == ["body"]
    shape(admin.post("/api/v1/work-queues?x=1", json={"name": "p"}), 422)


def test_bodies_are_json_and_known(admin: FlaskClient) -> None:
    url = "/api/v1/work-queues"
    shape(admin.post(url, data="name=q", content_type="text/plain"), 415)
    shape(admin.post(url, data={"name": "q"}), 415)
    shape(admin.post(url, data="{nope", content_type="application/json"), 400)
    shape(admin.post(url, data="[1]", content_type="application/json"), 422)
    assert list(shape(admin.post(url), 422)["errors"]) == ["name"]
    assert list(shape(admin.post(url, json={"name": "q", "nme": 1}), 422)["errors"]) == ["nme"]
    shape(admin.post("/api/v1/reports", data="x", content_type="text/plain"), 415)
    shape(admin.post("/api/v1/events", data="x", content_type="text/plain"), 415)
    assert admin.get(url).json["items"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": " a"}, "name"),
        ({"name": "a\x00"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": 5}, "name"),
        ({"name": "q", "paused": "yes"}, "paused"),
        ({"name": "q", "concurrency_limit": -1}, "concurrency_limit"),
        ({"name": "q", "concurrency_limit": 2**40}, "concurrency_limit"),
        ({"name": "q", "concurrency_limit": "5"}, "concurrency_limit"),
    ],
)
def test_pain_69_each_validator_refuses(admin: FlaskClient, body: dict[str, Any], field: str) -> None:
    refused = shape(admin.post("/api/v1/work-queues", json=body), 422)
    assert list(refused["errors"]) == [field]
    assert refused["message"].startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("flow-runs?state_type=DONE", "state_type"),
        ("flow-runs?flow_id=5", "flow_id"),
        ("flow-runs?created_after=yesterday", "created_after"),
        ("flow-runs?created_after=2026-01-01T00:00:00", "created_after"),
        ("logs", "flow_run_id"),
        ("logs?flow_run_id=0197b0d4-0000-7000-8000-000000000000&level=loud", "level"),
        ("artifacts?type=picture", "type"),
    ],
)
def test_filters_are_checked(admin: FlaskClient, query: str, field: str) -> None:
    assert list(shape(admin.get(f"/api/v1/{query}"), 422)["errors"]) == [field]


def test_what_cannot_be_stored_is_a_mistake_of_the_request(admin: FlaskClient) -> None:
    shape(admin.post("/api/v1/work-queues", json={"name": "q", "description": "a\x00b"}), 422)
    document = {"flow": "f", "name": "d", "entrypoint": "a.py:f", "parameters": {"x": "a\x00b"}}
    shape(admin.post("/api/v1/deployments", json=document), 422)


def test_errors_have_one_shape(app: Flask, admin: FlaskClient) -> None:
    shape(admin.get("/api/v1/nothing"), 404)
    shape(admin.get("/api/v1/flows/none"), 404)
    allowed = admin.put("/api/v1/flows")
    shape(allowed, 405)
    assert "GET" in allowed.headers["Allow"]
    admin.post("/api/v1/work-queues", json={"name": "q"})
    shape(admin.post("/api/v1/work-queues", json={"name": "q"}), 409)
    shape(admin.post("/api/v1/work-queues", data=b"x" * (16 * 1024 * 1024 + 1), content_type="application/json"), 413)


def test_unexpected_errors_tell_nothing(app: Flask) -> None:
    def broken() -> None:
        raise RuntimeError("a secret detail")

    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception("password=hunter2"))

    app.add_url_rule("/broken", "broken", open_to_all(broken))
    app.add_url_rule("/away", "away", open_to_all(away))
    app.add_url_rule("/teapot", "teapot", open_to_all(lambda: abort(418)))
    client = app.test_client()
    assert "secret" not in shape(client.get("/broken"), 500)["message"]
    gone = client.get("/away")
    assert "hunter2" not in shape(gone, 503)["message"]
    assert gone.headers["Retry-After"]
    shape(client.get("/teapot"), 418)


def test_lists_are_cached_by_their_content(admin: FlaskClient) -> None:
    first = admin.get("/api/v1/work-queues")
    again = admin.get("/api/v1/work-queues", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    admin.post("/api/v1/work-queues", json={"name": "q"})
    assert admin.get("/api/v1/work-queues", headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_queues_are_kept(admin: FlaskClient) -> None:
    made = admin.post("/api/v1/work-queues", json={"name": "duck", "concurrency_limit": 2}).json
    assert admin.get(f"/api/v1/work-queues/{made['id']}").json == made
    changed = admin.patch("/api/v1/work-queues/duck", json={"paused": True, "concurrency_limit": None}).json
    assert (changed["paused"], changed["concurrency_limit"]) == (True, None)
    admin.post("/api/v1/deployments", json={"flow": "f", "name": "d", "entrypoint": "a.py:f", "work_queue": "duck"})
    refused = admin.delete("/api/v1/work-queues/duck")
    assert (refused.status_code, "f/d" in refused.json["message"]) == (409, True)
    admin.patch("/api/v1/deployments/f/d", json={"work_queue": "default"})
    run = admin.post("/api/v1/deployments/f/d/runs", json={}).json
    assert admin.get("/api/v1/work-queues/default").json["waiting"] == 1
    admin.post(f"/api/v1/flow-runs/{run['id']}/cancel")
    assert admin.delete("/api/v1/work-queues/duck").status_code == 204
    events = [item["event"] for item in admin.get("/api/v1/events?event=work-queue.*").json["items"]]
    assert sorted(events) == ["work-queue.created"] * 2 + ["work-queue.deleted", "work-queue.updated"]
