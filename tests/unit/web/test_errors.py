"""Errors of pages are pages; those of the API keep their JSON."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from orchestrator.clock import now
from orchestrator.server.db import session
from orchestrator.server.services.identity import keys
from orchestrator.settings import Settings
from orchestrator.web.app import create_app


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    made = create_app(Settings(database_url=database_url, secret_key="a key for tests"))
    made.config["BACKGROUND"] = False
    yield made
    session.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    with session.transaction() as writing:
        key, _ = keys.create(writing, "a viewer", "viewer", now())
    client = app.test_client()
    with client.session_transaction() as cookie:
        cookie["key"] = str(key.id)
    return client


def test_a_page_that_does_not_exist(client: FlaskClient) -> None:
    answer = client.get("/nothing")
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert answer.headers["Content-Security-Policy"]


def test_a_run_that_does_not_exist_is_named(client: FlaskClient) -> None:
    run_id = uuid.uuid4()
    answer = client.get(f"/runs/{run_id}")
    assert answer.status_code == 404
    assert f"there is no flow run {run_id}" in answer.text


@pytest.mark.parametrize("path", ["/runs?state=NONE", "/runs?within=2h", "/?range=1y", "/runs?cursor=x"])
def test_an_address_that_cannot_be_is_told_in_one_line(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 422
    assert "That does not fit" in answer.text


def test_the_api_keeps_its_shape(client: FlaskClient) -> None:
    answer = client.get("/api/v1/nothing", headers={"Authorization": "Bearer orc_x"})
    assert answer.status_code in (401, 404)
    assert set(answer.get_json()) == {"code", "status", "message", "errors"}
    assert "Content-Security-Policy" not in answer.headers


def test_a_script_gets_the_message_alone(client: FlaskClient) -> None:
    answer = client.get(f"/runs/{uuid.uuid4()}", headers={"HX-Request": "true"})
    assert answer.status_code == 404
    assert "<" not in answer.text


def test_an_error_of_ours_tells_no_secret(app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setitem(app.view_functions, "web.queues.show", broken)
    answer = client.get("/queues")
    assert answer.status_code == 500
    assert "Something broke on our side" in answer.text
    assert "swordfish" not in answer.text


def test_a_database_that_is_away(client: FlaskClient) -> None:
    session.configure("postgresql://nobody@127.0.0.1:1/none")
    answer = client.get("/queues")
    assert answer.status_code == 503
    assert "The database does not answer now" in answer.text
    assert client.get("/queues", headers={"HX-Request": "true"}).status_code == 503
