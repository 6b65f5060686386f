"""``orchestrator api-key`` against a real API."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from orchestrator import cli
from orchestrator.clock import now
from orchestrator.server.db.session import reading, transaction
from orchestrator.server.services.identity import keys

from ..listening import Listener

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def served(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The API on a port of its own; the settings hold an admin's key."""
    server = Listener(app)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with transaction() as session:
        _, secret = keys.create(session, "first", "admin", now())
    monkeypatch.setenv("ORCHESTRATOR_API_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", secret)
    yield secret
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def run(served: str, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = cli.run(["api-key", *words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def test_a_key_is_made_listed_and_revoked(run: Run) -> None:
    code, out, err = run("create", "ci", "--role", "viewer", "--expires", "90d")
    assert (code, out.strip()[:4], "cannot be shown again" in err) == (0, "orc_", True)
    with reading() as session:
        assert keys.authenticate(session, out.strip(), now()) is not None
    code, listed, _ = run("ls", "--output", "json")
    assert [key["name"] for key in json.loads(listed)] == ["first", "ci"]
    assert out.strip() not in listed
    assert run("revoke", "ci", "--yes")[0] == 0
    with reading() as session:
        assert keys.authenticate(session, out.strip(), now()) is None
    assert "ci" not in run("ls")[1]
    assert "ci" in run("ls", "--revoked")[1]


def test_json_is_one_document(run: Run) -> None:
    code, out, _ = run("create", "ci", "--role", "agent", "--output", "json")
    assert (code, json.loads(out)["role"]) == (0, "agent")


@pytest.mark.parametrize(
    ("words", "code", "hint"),
    [
        (("create", "x", "--role", "king"), 2, "role"),
        (("create", "x", "--role", "viewer", "--expires", "soon"), 2, "90s, 5m"),
        (("revoke", "nobody", "--yes"), 1, "api-key ls"),
        (("revoke", "first"), 2, "--yes"),
        (("revoke", "first", "--yes"), 1, "last admin key"),
    ],
)
def test_mistakes_are_one_line(run: Run, words: tuple[str, ...], code: int, hint: str) -> None:
    ended, out, err = run(*words)
    assert (ended, out) == (code, "")
    assert hint in err


def test_a_wrong_key_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_API_KEY", "orc_wrong")
    code, _, err = run("ls")
    assert code == 1
    assert "key" in err.lower()
