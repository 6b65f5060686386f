"""Pain 67: a secret key that is lost or rotated."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from orchestrator.clock import now
from orchestrator.documents.records import Actor
from orchestrator.errors import BlockError, SettingsError
from orchestrator.server.db.session import transaction
from orchestrator.server.services.configuring import blocks, secret_keys
from orchestrator.server.services.identity import secrets
from orchestrator.settings import Settings

from ..api import ClientAs
from .test_api_blocks import CANARY, CREDENTIALS, save

OLD = "a secret of the tests"


@pytest.fixture
def admin(client_as: ClientAs) -> FlaskClient:
    client = client_as("admin")
    assert client.post("/api/v1/block-types", json=CREDENTIALS).status_code == 200
    return client


def test_pain_67_all_is_encrypted_anew_in_steps(admin: FlaskClient) -> None:
    for number in range(5):
        save(admin, "credentials", f"b{number}", secret=CANARY)
    secrets.configure(f"fresh, {OLD}")
    before = admin.get("/api/v1/secret-keys/check").json
    assert ([key["blocks"] for key in before["keys"]], before["left"]) == ([0, 5], 5)
    with transaction() as session:
        assert secret_keys.rotate(session, Actor("server"), now(), batch=2) == secret_keys.Rotated(2, 3)
    assert admin.post("/api/v1/secret-keys/rotate").json == {"rotated": 3, "left": 0, "unreadable": []}
    after = admin.get("/api/v1/secret-keys/check").json
    assert [key["blocks"] for key in after["keys"]] == [5, 0]
    assert len(admin.get("/api/v1/events?event=secret-key.rotated").json["items"]) == 1
    secrets.configure("fresh")
    for number in range(5):
        assert admin.post(f"/api/v1/blocks/credentials/b{number}/load").json["data"] == {"secret": CANARY}


def test_pain_67_a_wrong_key_names_the_unreadable_and_all_else_works(admin: FlaskClient) -> None:
    save(admin, "credentials", "lost", secret=CANARY)
    secrets.configure("wrong")
    save(admin, "credentials", "readable", secret=CANARY)
    found = admin.get("/api/v1/secret-keys/check").json
    assert (found["unreadable"], found["unreadable_count"], found["left"]) == (["credentials/lost"], 1, 0)
    part = admin.get("/health/ready").json["parts"]["secrets"]
    assert part["ok"] is False
    assert "credentials/lost" in part["message"]
    assert admin.post("/api/v1/secret-keys/rotate").json["unreadable"] == ["credentials/lost"]
    assert admin.post("/api/v1/blocks/credentials/readable/load").status_code == 200
    with transaction() as session, pytest.raises(BlockError, match=r"credentials/lost: .* start the server with that"):
        blocks.load(session, "credentials/lost", Actor("server"), now())
    again = admin.post("/api/v1/blocks/credentials/lost/rotate", json={"data": {"secret": "entered again"}})
    assert again.status_code == 200
    assert admin.get("/health/ready").json["parts"]["secrets"]["ok"] is True


def test_blocks_of_before_keys_were_noted_are_tried(admin: FlaskClient) -> None:
    save(admin, "credentials", "a", secret=CANARY)
    secrets.configure("wrong")
    save(admin, "credentials", "b", secret=CANARY)
    with transaction() as session:
        for block in blocks.listing(session).items:
            block.secrets_key = None
    secrets.configure(f"fresh, {OLD}")
    found = admin.get("/api/v1/secret-keys/check").json
    assert (found["unreadable"], found["left"]) == (["credentials/b"], 1)
    assert admin.post("/api/v1/secret-keys/rotate").json["rotated"] == 1
    assert admin.get("/api/v1/secret-keys/check").json["keys"][0]["blocks"] == 1


def test_only_admins_rotate(client_as: ClientAs) -> None:
    assert client_as("editor").post("/api/v1/secret-keys/rotate").status_code == 403
    assert client_as("editor").get("/api/v1/secret-keys/check").status_code == 403


def test_the_key_comes_from_a_file_or_a_command(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first\nsecond\n")
    assert secrets.given(Settings(secret_key_file=str(file))) == "first\nsecond"
    secrets.configure("first\nsecond")
    assert len(secrets.key_ids()) == 2
    command = f"{shlex.quote(sys.executable)} -c 'print(\"of a command\")'"
    assert secrets.given(Settings(secret_key_command=command)) == "of a command"
    assert secrets.given(Settings(secret_key="itself", secret_key_file="none", secret_key_command="false")) == "itself"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("sh -c 'echo no vault here >&2; exit 3'", "exit code 3: no vault here"),
        ("true", "printed nothing"),
        ("/does/not/exist", "cannot be started"),
        ("sh -c 'sleep 60'", "did not end within"),
        ("'", "cannot be started"),
    ],
)
def test_a_command_that_gives_no_key_is_one_clear_line(
    command: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "COMMAND_TIMEOUT", 0.3 if "sleep" in command else 30.0)
    with pytest.raises(SettingsError, match=told) as error:
        secrets.given(Settings(secret_key_command=command))
    assert str(error.value).startswith("ORCHESTRATOR_SECRET_KEY_COMMAND: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("content", "told"), [(None, "cannot be read"), (b"\n", "is empty"), (b"\xff", "no text")])
def test_a_file_without_a_key_is_one_clear_line(tmp_path: Path, content: bytes | None, told: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=rf"^ORCHESTRATOR_SECRET_KEY_FILE: .*{told}"):
        secrets.given(Settings(secret_key_file=str(file)))
