"""Deployments, schedules, and starting runs, over REST."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text

from orchestrator.clock import from_text, now, to_text
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.loops import schedule as schedule_loop

from ..api import ClientAs
from ..polling import until

SCHEMA = {
    "type": "object",
    "properties": {"day": {"type": "string"}, "number": {"type": "integer", "default": 1}},
    "required": ["day"],
}
DOCUMENT: dict[str, Any] = {
    "flow": "sales",
    "name": "daily",
    "entrypoint": "flow.py:sales",
    "parameter_schema": SCHEMA,
    "parameters": {"number": 2},
    "schedules": [{"cron": "0 9 * * *", "timezone": "Europe/Berlin", "parameters": {"day": "today"}}],
}
CRON_B = [{"cron": "30 7 * * *", "parameters": {"day": "today"}}]


@pytest.fixture
def editor(client_as: ClientAs) -> FlaskClient:
    return client_as("editor")


def apply(client: FlaskClient, **changes: Any) -> Any:
    document = {name: value for name, value in {**DOCUMENT, **changes}.items() if value != "left out"}
    answer = client.post("/api/v1/deployments", json=document)
    assert answer.status_code in (200, 201), answer.json
    return answer.json


def materialise() -> int:
    with transaction() as session:
        return schedule_loop.step(session, now())


def runs_waiting() -> int:
    with reading() as session:
        return int(session.execute(text("SELECT count(*) FROM flow_run WHERE state_type = 'SCHEDULED'")).scalar_one())


def slots_after(instant: datetime) -> list[datetime]:
    """Slots after an instant whose runs wait."""
    with reading() as session:
        query = text("SELECT slot FROM flow_run WHERE state_type = 'SCHEDULED' AND slot > :instant ORDER BY slot")
        return list(session.execute(query, {"instant": instant}).scalars())


def events_named(client: FlaskClient, name: str) -> int:
    return len(client.get(f"/api/v1/events?event={name}").json["items"])


def test_apply_creates_then_changes_nothing(editor: FlaskClient) -> None:
    first = apply(editor)
    assert first["created"] is True
    shown = first["deployment"]
    assert (shown["flow"]["name"], shown["name"], shown["work_queue"]) == ("sales", "daily", "default")
    assert shown["schedules"][0]["slug"] == "cron"
    assert len(shown["schedules"][0]["next"]) == 3
    again = apply(editor)
    assert (again["created"], again["changes"]) == (False, [])
    assert again["deployment"]["updated"] == shown["updated"]
    assert (events_named(editor, "deployment.created"), events_named(editor, "deployment.updated")) == (1, 0)


def test_apply_tells_what_changed(editor: FlaskClient) -> None:
    apply(editor)
    changes = apply(
        editor,
        entrypoint="flow.py:other",
        parameters={"number": 3},
        tags=["gold"],
        work_queue="duck",
        schedules=[{"cron": "0 10 * * *", "timezone": "Europe/Berlin", "parameters": {"day": "today"}}],
    )["changes"]
    assert changes == [
        "tags: (none) -> gold",
        "entrypoint: flow.py:sales -> flow.py:other",
        "work queue: default -> duck",
        "parameter number: 2 -> 3",
        "schedule cron: cron 0 9 * * *, Europe/Berlin -> cron 0 10 * * *, Europe/Berlin",
    ]
    assert events_named(editor, "deployment.updated") == 1


def test_pain_21_changed_and_removed_schedules_leave_no_runs(editor: FlaskClient) -> None:
    apply(editor)
    assert materialise() > 0
    ahead = runs_waiting()
    assert ahead > 0
    apply(editor, schedules="left out")
    assert runs_waiting() == ahead
    apply(editor, schedules=CRON_B)
    assert runs_waiting() == 0
    assert materialise() > 0
    assert apply(editor, schedules=CRON_B)["changes"] == []
    assert runs_waiting() > 0
    assert apply(editor, schedules=[])["changes"] == ["schedule cron: removed"]
    assert runs_waiting() == 0
    assert materialise() == 0


def test_pain_21_pausing_and_new_parameters_drop_what_was_made_ahead(editor: FlaskClient) -> None:
    apply(editor)
    materialise()
    assert editor.patch("/api/v1/deployments/sales/daily", json={"paused": True}).json["paused"] is True
    assert runs_waiting() == 0
    assert materialise() == 0
    editor.patch("/api/v1/deployments/daily", json={"paused": False})
    assert materialise() > 0
    editor.patch("/api/v1/deployments/sales/daily", json={"parameters": {"number": 9}})
    assert runs_waiting() == 0
    assert materialise() > 0
    run = editor.get("/api/v1/flow-runs").json["items"][0]
    assert run["parameters"] == {"number": 9, "day": "today"}


def test_pain_21_deleting_a_deployment_leaves_nothing_waiting(editor: FlaskClient) -> None:
    apply(editor)
    materialise()
    editor.post("/api/v1/deployments/sales/daily/runs", json={"parameters": {"day": "x"}})
    assert editor.delete("/api/v1/deployments/sales/daily").status_code == 204
    assert runs_waiting() == 0
    assert materialise() == 0
    left = editor.get("/api/v1/flow-runs").json["items"]
    assert [(run["state"]["type"], run["deployment"]) for run in left] == [("CANCELLED", None)]
    assert editor.get("/api/v1/deployments/sales/daily").status_code == 404
    assert events_named(editor, "deployment.deleted") == 1


def slots() -> set[tuple[Any, ...]]:
    with reading() as session:
        return set(map(tuple, session.execute(text("SELECT id, slot FROM flow_run WHERE state_type = 'SCHEDULED'"))))


def test_pain_21_the_same_document_again_leaves_the_very_same_runs(editor: FlaskClient) -> None:
    apply(editor)
    materialise()
    made = slots()
    assert apply(editor)["changes"] == []
    assert apply(editor, schedules="left out")["changes"] == []
    assert (slots(), materialise()) == (made, 0)
    apply(editor, schedules=CRON_B)
    materialise()
    assert {(slot.hour, slot.minute) for _, slot in slots()} == {(7, 30)}


@pytest.fixture
def ticking() -> Iterator[None]:
    """The loop that makes runs goes round all the time, twice."""
    over = threading.Event()

    def go_round() -> None:
        while not over.is_set():
            materialise()

    with ThreadPoolExecutor(2) as pool:
        loops = [pool.submit(go_round) for _ in range(2)]
        yield
        over.set()
    for loop in loops:
        loop.result()
    with reading() as session:
        found = session.execute(text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"))
        assert found.scalar_one() == 0, "some waited for each other"


def test_pain_21_deleting_while_the_loop_ticks_leaves_nothing(editor: FlaskClient, ticking: None) -> None:
    for number in range(30):
        apply(editor, schedules=[{"slug": f"s{n}", "cron": "* * * * *", "parameters": {"day": "x"}} for n in range(3)])
        if number % 3 == 0:  # else it is deleted while they are being made
            until(lambda: runs_waiting() > 0, "runs to be made")
        assert editor.delete("/api/v1/deployments/sales/daily").status_code == 204
        assert runs_waiting() == 0


def test_pain_21_pausing_while_the_loop_ticks_leaves_nothing(editor: FlaskClient, ticking: None) -> None:
    # Slots come due all the time, also between a pause and the look at what it left.
    apply(editor, schedules=[{"slug": f"s{n}", "interval": 1, "parameters": {"day": "x"}} for n in range(3)])
    address = "/api/v1/deployments/sales/daily"
    for number in range(30):
        if number % 3 == 0:
            until(lambda: slots_after(now()), "runs to be made")
        answer = editor.patch(address, json={"paused": True})
        assert answer.status_code == 200
        assert slots_after(from_text(answer.json["updated"])) == []
        assert editor.patch(address, json={"paused": False}).status_code == 200


def test_pain_59_many_waiting_runs_are_cancelled_in_batches(
    editor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.server.services.deploying.deployments.CANCELS", 2)
    apply(editor, schedules=[])
    for _ in range(5):
        editor.post("/api/v1/deployments/sales/daily/runs", json={"parameters": {"day": "x"}})
    assert editor.delete("/api/v1/deployments/daily").status_code == 204
    left = editor.get("/api/v1/flow-runs").json["items"]
    assert [(run["state"]["type"], run["deployment"]) for run in left] == [("CANCELLED", None)] * 5


def test_pain_59_a_schedule_with_many_runs_is_deleted_in_batches(
    editor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.server.services.running.runs.FORGOTTEN", 2)
    apply(editor, schedules=[{"cron": "* * * * *", "parameters": {"day": "x"}}])
    materialise()
    for run in editor.get("/api/v1/flow-runs?limit=5").json["items"]:
        editor.post(f"/api/v1/flow-runs/{run['id']}/cancel")
    schedule = editor.get("/api/v1/schedules").json["items"][0]["id"]
    assert editor.delete(f"/api/v1/schedules/{schedule}").status_code == 204
    left = editor.get("/api/v1/flow-runs").json["items"]
    assert [run["state"]["type"] for run in left] == ["CANCELLED"] * 5
    assert editor.get("/api/v1/schedules").json["items"] == []


def test_pain_49_a_changed_signature_names_the_schedules_that_no_longer_fit(editor: FlaskClient) -> None:
    apply(editor)
    narrower = {"type": "object", "properties": {"number": {"type": "integer"}}}
    document = {**DOCUMENT, "parameter_schema": narrower}
    document.pop("schedules")
    answer = editor.post("/api/v1/deployments", json=document)
    assert answer.status_code == 422
    assert list(answer.json["errors"]) == ["schedules.cron.parameters.day"]
    assert editor.get("/api/v1/deployments/sales/daily").json["parameter_schema"] == SCHEMA


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"storage": {"block": "s3/none"}}, "storage.block"),
        ({"infrastructure": {"block": "docker/none"}}, "infrastructure.block"),
        ({"parameters": {"nmber": 1}}, "parameters.nmber"),
        ({"parameters": {"number": "one"}}, "parameters.number"),
        ({"parameter_schema": {"type": 5}}, "parameter_schema"),
        ({"parameter_schema": {"properties": {"a": {"$ref": "http://example.org/x"}}}}, "parameter_schema"),
        ({"schedules": [{"cron": "61 * * * *"}]}, "schedules.0.cron"),
        ({"schedules": [{"cron": "0 9 * * *", "interval": 5}]}, "schedules.0.interval"),
        ({"schedules": [{"cron": "0 9 * * *", "timezone": "Mars/Base"}]}, "schedules.0.timezone"),
        ({"schedules": [{"cron": "0 9 * * *", "parameters": {"other": 1}}]}, "schedules.cron.parameters.other"),
        ({"schedules": [{"slug": "a", "interval": 60}, {"slug": "a", "interval": 90}]}, "schedules.1.slug"),
    ],
)
def test_bad_documents_are_refused_whole(editor: FlaskClient, changes: dict[str, Any], field: str) -> None:
    answer = editor.post("/api/v1/deployments", json={**DOCUMENT, **changes})
    assert answer.status_code == 422
    assert field in answer.json["errors"], answer.json
    assert field in answer.json["message"]
    assert editor.get("/api/v1/deployments").json["items"] == []
    assert editor.get("/api/v1/flows").json["items"] == []


def test_slugs_are_given_by_kind(editor: FlaskClient) -> None:
    wanted = [{"cron": "0 1 * * *"}, {"cron": "0 2 * * *"}, {"interval": "1h30m"}, {"rrule": "FREQ=DAILY"}]
    shown = apply(editor, schedules=wanted, parameter_schema={})["deployment"]["schedules"]
    assert [item["slug"] for item in shown] == ["cron", "cron-2", "interval", "rrule"]
    assert shown[2]["interval"] == 5400


def test_deployments_are_found_by_name(editor: FlaskClient) -> None:
    first = apply(editor)["deployment"]
    apply(editor, flow="orders")
    apply(editor, flow="orders", name="hourly", tags=["x"], work_queue="duck")
    assert editor.get(f"/api/v1/deployments/{first['id']}").json["id"] == first["id"]
    assert editor.get("/api/v1/deployments/hourly").json["flow"]["name"] == "orders"
    ambiguous = editor.get("/api/v1/deployments/daily")
    assert ambiguous.status_code == 409
    assert "orders/daily, sales/daily" in ambiguous.json["message"]
    for query, names in [
        ("flow=orders", ["daily", "hourly"]),
        ("name=HOUR", ["hourly"]),
        ("tag=x", ["hourly"]),
        ("work_queue=duck", ["hourly"]),
        ("limit=2", ["daily", "hourly"]),
    ]:
        assert [item["name"] for item in editor.get(f"/api/v1/deployments?{query}").json["items"]] == names
    page = editor.get("/api/v1/deployments?limit=2").json
    rest = editor.get(f"/api/v1/deployments?limit=2&cursor={page['next']}").json
    assert [item["flow"]["name"] for item in rest["items"]] == ["sales"]
    assert rest["next"] is None


def test_pain_49_a_run_with_bad_parameters_is_refused_and_not_there(editor: FlaskClient) -> None:
    apply(editor)
    for parameters, field in [({}, "day"), ({"day": 1}, "day"), ({"day": "x", "dya": 1}, "dya")]:
        answer = editor.post("/api/v1/deployments/sales/daily/runs", json={"parameters": parameters})
        assert answer.status_code == 422
        assert list(answer.json["errors"]) == [field]
    assert editor.get("/api/v1/flow-runs").json["items"] == []


def test_a_run_is_told_as_it_is_stored(editor: FlaskClient) -> None:
    apply(editor, tags=["gold"])
    due = to_text(now() + timedelta(hours=1))
    body = {"parameters": {"day": "x"}, "due": due, "name": "by hand", "tags": ["extra"], "priority": 7}
    answer = editor.post("/api/v1/deployments/sales/daily/runs", json=body)
    assert answer.status_code == 201
    stored = editor.get(f"/api/v1/flow-runs/{answer.json['id']}").json
    assert stored.pop("waiting_reason")["code"] == "not-due"
    assert {**stored, "waiting_reason": None} == answer.json
    assert (stored["tags"], stored["parameters"]) == (["gold", "extra"], {"number": 2, "day": "x"})
    assert stored["created_by"]["name"] == "editor of the tests"


def test_an_idempotency_key_gives_the_first_run_again(editor: FlaskClient) -> None:
    apply(editor)
    answers = [
        editor.post(
            "/api/v1/deployments/sales/daily/runs",
            json={"parameters": {"day": "x"}},
            headers={"Idempotency-Key": "order 17"},
        )
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 200]
    assert answers[0].json == answers[1].json
    long = {"Idempotency-Key": "x" * 300}
    assert editor.post("/api/v1/deployments/sales/daily/runs", json={}, headers=long).status_code == 422


def test_schedules_can_be_changed_one_by_one(editor: FlaskClient) -> None:
    apply(editor, schedules=[], parameter_schema={})
    made = editor.post("/api/v1/deployments/sales/daily/schedules", json={"cron": "0 9 * * *"})
    assert made.status_code == 201
    address = f"/api/v1/schedules/{made.json['id']}"
    assert materialise() > 0
    changed = editor.patch(address, json={"interval": 3600, "timezone": "Europe/Berlin"}).json
    assert (changed["cron"], changed["interval"], changed["slug"]) == (None, 3600, "cron")
    assert runs_waiting() == 0
    assert editor.patch(address, json={"slug": "hourly"}).json["slug"] == "hourly"
    stopped = editor.patch(address, json={"active": False}).json
    assert (stopped["active"], stopped["next"]) == (False, [])
    assert materialise() == 0
    taken = editor.post("/api/v1/deployments/daily/schedules", json={"slug": "hourly", "interval": 5})
    assert taken.status_code == 409
    refused = editor.patch(address, json={"cron": "nonsense"})
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["cron"])
    listed = editor.get("/api/v1/schedules").json["items"]
    assert [item["slug"] for item in listed] == ["hourly"]
    assert editor.delete(address).status_code == 204
    assert editor.get(address).status_code == 404


def test_a_preview_needs_nothing_saved(editor: FlaskClient) -> None:
    body = {"cron": "30 2 * * *", "timezone": "Europe/Berlin", "after": "2026-03-28T00:00:00Z", "n": 3}
    told = editor.post("/api/v1/schedules/preview", json=body).json["items"]
    assert told == ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    assert editor.post("/api/v1/schedules/preview", json={"n": 3}).json["errors"].keys() == {"cron"}


def test_if_match_refuses_a_change_of_something_else(editor: FlaskClient) -> None:
    apply(editor)
    tag = editor.get("/api/v1/deployments/sales/daily").headers["ETag"]
    address = "/api/v1/deployments/sales/daily"
    assert editor.get(address, headers={"If-None-Match": tag}).status_code == 304
    assert editor.patch(address, json={"description": "a"}, headers={"If-Match": tag}).status_code == 200
    assert editor.patch(address, json={"description": "b"}, headers={"If-Match": tag}).status_code == 412


def test_deleting_a_deployment_with_many_runs_forgets_them_in_batches(
    editor: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.server.services.deploying.deployments.BATCH", 2)
    apply(editor, schedules=[])
    for _ in range(5):
        run = editor.post("/api/v1/deployments/sales/daily/runs", json={"parameters": {"day": "x"}}).json
        editor.post(f"/api/v1/flow-runs/{run['id']}/cancel")
    assert editor.delete("/api/v1/deployments/daily").status_code == 204
    assert [run["deployment"] for run in editor.get("/api/v1/flow-runs").json["items"]] == [None] * 5


def test_many_who_apply_the_same_deployment_at_once(app: Flask, client_as: ClientAs) -> None:
    clients = [client_as("editor") for _ in range(4)]
    together = threading.Barrier(len(clients))

    def once(client: FlaskClient) -> int:
        together.wait(20)
        return client.post("/api/v1/deployments", json=DOCUMENT).status_code

    with ThreadPoolExecutor(len(clients)) as pool:
        assert sorted(pool.map(once, clients)) == [200, 200, 200, 201]
    assert len(clients[0].get("/api/v1/schedules").json["items"]) == 1
