"""Who gets in (pain 35): every route of the document is walked."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orchestrator import settings as settings_table
from orchestrator.clock import now
from orchestrator.errors import SettingsError
from orchestrator.server.api import access
from orchestrator.server.app import create_app
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.identity import keys, tokens

from ..api import ClientAs

METHODS = ("get", "post", "put", "patch", "delete")


def operations(app: Flask) -> list[tuple[str, str, dict[str, Any]]]:
    """(method, address, operation) of every documented route below /api/v1; parts of addresses are made up."""
    paths = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()["paths"]
    found = [
        (method, re.sub(r"{\w+}", str(uuid.uuid4()), path), operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method in METHODS and path.startswith("/api/")
    ]
    return [*found, ("get", "/api/v1/openapi.json", {"x-roles": ["admin", "agent", "editor", "run", "viewer"]})]


def test_no_route_opens_without_a_key(app: Flask, client_as: ClientAs) -> None:
    client = client_as("")
    walked = operations(app)
    assert len(walked) > 60
    for method, address, _ in walked:
        for header in ({}, {"Authorization": "Bearer orc_" + "x" * 43}, {"Authorization": "Basic eDp4"}):
            answer = client.open(address, method=method.upper(), headers=header)
            assert answer.status_code == 401, (method, address, header)
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert set(answer.json) == {"code", "status", "message", "errors"}


#: Questions that are too long for an address.
READ_BY_POST = {
    "schedules/preview",
    "deployments/ID/backfills/preview",
    "deployments/ID/ID/backfills/preview",
    "expectations/check",
    "holds/preview",
    "triggers/check",
    "triggers/test",
    "triggers/ID/explain",
}
OF_ONES_OWN = {"desk", "desk/ID"}


@pytest.mark.parametrize("role", ["viewer", "editor", "agent", "admin"])
def test_every_route_keeps_to_its_roles(app: Flask, client_as: ClientAs, role: str) -> None:
    client = client_as(role)
    for method, address, operation in operations(app):
        status = client.open(address, method=method.upper()).status_code
        if role in operation["x-roles"]:
            assert status not in (401, 403, 500), (method, address)
        else:
            assert status == 403, (method, address)


def test_viewers_change_nothing_but_their_desk(app: Flask) -> None:
    allowed = {
        re.sub(r"[\da-f-]{36}", "ID", address.removeprefix("/api/v1/"))
        for method, address, operation in operations(app)
        if method != "get" and "viewer" in operation["x-roles"]
    }
    assert allowed == {*READ_BY_POST, *OF_ONES_OWN}


def test_health_and_docs_are_open(client_as: ClientAs) -> None:
    client = client_as("")
    assert client.get("/health/live").status_code == 200
    assert client.get("/health/ready").status_code == 503
    assert client.get("/api/v1/docs").status_code == 200


def test_a_view_that_declares_no_role_stops_the_start(app: Flask) -> None:
    app.view_functions["forgotten"] = lambda: "open"
    with pytest.raises(RuntimeError, match="forgotten"):
        access.verify(app)


def test_a_view_that_declares_no_role_is_closed(database_url: str, app: Flask) -> None:
    app.add_url_rule("/late", "late", lambda: "open")
    assert app.test_client().get("/late").status_code == 401


def test_a_revoked_key_stops_at_once(client_as: ClientAs) -> None:
    admin = client_as("admin")
    made = admin.post("/api/v1/api-keys", json={"name": "ci", "role": "viewer"}).json
    header = {"Authorization": f"Bearer {made['key']}"}
    other = client_as("")
    assert other.get("/api/v1/flows", headers=header).status_code == 200
    assert admin.delete(f"/api/v1/api-keys/{made['id']}").status_code == 204
    assert other.get("/api/v1/flows", headers=header).status_code == 401
    told = admin.get("/api/v1/events?event=api-key.*").json["items"]
    assert [item["event"] for item in told] == ["api-key.revoked", "api-key.created"]
    assert made["key"] not in str(told)


def test_a_browser_session_reads_and_never_writes(app: Flask, client_as: ClientAs) -> None:
    client_as("admin")
    with reading() as session:
        principal = keys.principal_of(keys.listing(session)[0])
    access.add_authenticator(app, lambda request: principal if request.cookies.get("session") else None)
    browser = app.test_client()
    assert browser.get("/api/v1/flows").status_code == 401
    browser.set_cookie("session", "x")
    assert browser.get("/api/v1/openapi.json").status_code == 200
    assert browser.post("/api/v1/work-queues", json={"name": "q"}).status_code == 401


def test_a_run_token_reads_its_own_run_only(app: Flask, client_as: ClientAs, claimed_run: dict[str, Any]) -> None:
    client = client_as("")
    header = {"Authorization": f"Bearer {claimed_run['token']}"}
    assert client.get(f"/api/v1/flow-runs/{claimed_run['id']}", headers=header).status_code == 200
    assert client.get(f"/api/v1/flow-runs/{uuid.uuid4()}", headers=header).status_code == 404
    assert client.get("/api/v1/flow-runs", headers=header).status_code == 403
    assert client.get("/api/v1/blocks", headers=header).status_code == 403
    superseded = tokens.issue(uuid.UUID(claimed_run["id"]), 2)
    assert client.get("/api/v1/block-types", headers={"Authorization": f"Bearer {superseded}"}).status_code == 401


@pytest.fixture
def claimed_run(client_as: ClientAs) -> dict[str, Any]:
    """A job, as an agent claimed it."""
    editor = client_as("editor")
    editor.post("/api/v1/deployments", json={"flow": "f", "name": "d", "entrypoint": "a.py:f"})
    editor.post("/api/v1/deployments/f/d/runs", json={})
    agent = client_as("agent")
    facts = {"name": "a", "hostname": "h", "pid": 1, "version": "1", "transport": "http", "queues": ["default"]}
    registered = agent.post("/api/v1/agents", json={**facts, "slots": 1}).json
    job: dict[str, Any] = agent.post(
        f"/api/v1/agents/{registered['agent_id']}/claim", json={"queues": ["default"]}
    ).json
    return job


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:4200", 200),
        ("[::1]:4200", 200),
        ("tower.example.org", 200),
        ("evil.example", 400),
    ],
)
def test_the_host_header_is_checked(app: Flask, monkeypatch: pytest.MonkeyPatch, host: str, status: int) -> None:
    monkeypatch.setenv("ORCHESTRATOR_ALLOWED_HOSTS", ".example.org")
    client = create_app(settings_table.load()).test_client()
    client.application.config["BACKGROUND"] = False
    answer = client.get("/health/live", headers={"Host": host})
    assert answer.status_code == status
    assert status == 200 or "ORCHESTRATOR_ALLOWED_HOSTS" in answer.json["message"]


def test_behind_a_proxy_the_public_address_counts(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PUBLIC_URL", "https://data.example.org/orch")
    made = create_app(settings_table.load())
    made.config["BACKGROUND"] = False
    with transaction() as session:
        _, secret = keys.create(session, "x", "admin", now())
    header = {"Authorization": f"Bearer {secret}"}
    for path in ("/orch/api/v1/logins", "/api/v1/logins"):
        answer = made.test_client().post(path, headers={**header, "Host": "data.example.org"})
        assert answer.status_code == 201
        assert answer.json["url"].startswith("https://data.example.org/orch/login?token=")
    assert made.test_client().get("/api/v1/flows", headers=header).status_code == 200


@pytest.mark.parametrize("missing", ["DATABASE_URL", "SECRET_KEY"])
def test_the_server_says_what_it_lacks(database_url: str, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ORCHESTRATOR_SECRET_KEY", "x")
    monkeypatch.delenv(f"ORCHESTRATOR_{missing}")
    with pytest.raises(SettingsError, match=missing):
        create_app(settings_table.load())


def test_agents_and_people(client_as: ClientAs) -> None:
    agent: FlaskClient = client_as("agent")
    assert agent.get("/api/v1/flow-runs").status_code == 403
    assert agent.post("/api/v1/events", json={"event": "x", "resource": {"resource.id": "y"}}).status_code == 202


def test_the_documentation_page_needs_nobody_else(client_as: ClientAs) -> None:
    client = client_as("")
    page = client.get("/api/v1/docs")
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assets = re.findall(r'(?:src|href)="(?!data:)([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        assert client.get(f"/api/v1/{asset}").status_code == 200, asset
    for other in ("../app.py", "..%2Fapp.py", "none.js", "page.py"):
        assert client.get(f"/api/v1/docs/{other}").status_code == 404
