"""Fixtures for the API: the application, and clients of every role. Each JSON answer is held against the OpenAPI
document, so that what is documented is what is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask, Response, request
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from orchestrator import settings as settings_table
from orchestrator.clock import now
from orchestrator.server import config
from orchestrator.server.app import create_app
from orchestrator.server.db.session import transaction
from orchestrator.server.services.identity import keys

ClientAs = Callable[[str], FlaskClient]


@pytest.fixture
def app(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """The API over a fresh database, without Redis and background thread."""
    monkeypatch.setenv("ORCHESTRATOR_DATABASE_URL", database_url)
    monkeypatch.setenv("ORCHESTRATOR_SECRET_KEY", "a secret of the tests")
    made = create_app(settings_table.load())
    made.config["BACKGROUND"] = False
    hold_to_document(made)
    yield made
    config.use(None)


@pytest.fixture
def client_as(app: Flask) -> ClientAs:
    """Makes a client with a key of the role that is asked for; ``""``: with none."""

    def make(role: str) -> FlaskClient:
        client = app.test_client()
        if role:
            with transaction() as session:
                _, secret = keys.create(session, f"{role} of the tests", role, now())
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
        return client

    return make


def hold_to_document(app: Flask) -> None:
    """Check every JSON answer below /api/v1 and /health against the document."""
    document = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()

    def check(response: Response) -> Response:
        if request.url_rule is None or response.mimetype != "application/json" or response.status_code == 304:
            return response
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", request.url_rule.rule)
        operation = document["paths"].get(path, {}).get(request.method.lower())
        if operation is not None:
            _check(document, operation, f"{request.method} {path}", response)
        return response

    app.after_request(check)


def _check(document: dict[str, Any], operation: dict[str, Any], name: str, response: Response) -> None:
    described = operation["responses"]
    found = described.get(str(response.status_code))
    if found is None:
        assert response.status_code >= 400, f"{name} answers {response.status_code}, which is not documented"
        found = described["default"]
    if "$ref" in found:
        found = document["components"]["responses"][found["$ref"].rpartition("/")[2]]
    schema = {**found["content"]["application/json"]["schema"], "components": document["components"]}
    errors = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(response.json)
    ]
    assert not errors, f"{name} {response.status_code}: {errors}"
