"""``orchestrator block`` against the API itself: rotating what others hold, and deleting what is used."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.blocks.secret import Secret
from orchestrator.cli import run
from orchestrator.client import Client

from ..live_api import Api

CHAIN = {
    "slug": "chain",
    "import_path": "x:Chain",
    "schema": {"type": "object", "properties": {"inner": {"type": "object", "x-block": "secret"}}},
}


@pytest.fixture
def client(api: Api) -> Client:
    """A secret that a block holds and that a deployment names in a template."""
    made = Client.from_settings()
    Secret(value="first-canary").save("key")
    made.post("block-types", CHAIN)
    held = {"$block": "secret/key"}
    made.post("blocks", {"type": "chain", "name": "outer", "data": {"inner": held}})
    document: dict[str, Any] = {"flow": "etl", "name": "main", "entrypoint": "flow.py:etl"}
    made.post("deployments", {**document, "parameters": {"token": "{{ blocks.secret.key }}"}})
    return made


def test_rotating_tells_who_has_the_new_secret_next(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["block", "rotate", "secret/key", "--set", "value=second-canary"]) == 0
    said = capsys.readouterr().err
    assert "rotated value of secret/key" in said
    assert "block chain/outer (field inner)" in said
    assert "deployment etl/main (as template)" in said
    assert client.post("blocks/chain/outer/load")["data"]["inner"]["data"] == {"value": "second-canary"}
    assert "canary" not in said


def test_deleting_what_is_used_needs_force_and_leaves_deployments_not_ready(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["block", "delete", "secret/key", "--yes"]) == 1
    said = capsys.readouterr().err
    assert "secret/key is used by block chain/outer (field inner)" in said
    assert "secret/key is used by deployment etl/main (as template)" in said
    assert "--force deletes it all the same" in said
    assert run(["block", "inspect", "secret/key"]) == 0
    shown = capsys.readouterr().out
    assert "deployment etl/main (as template)" in shown
    assert "********" in shown
    assert run(["block", "delete", "secret/key", "--yes", "--force"]) == 0
    assert client.get("deployments/etl/main")["not_ready"]


def test_types_and_lists_by_interface(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["block", "ls", "--interface", "secret"]) == 0
    listed = capsys.readouterr().out
    assert "secret/key" in listed
    assert "chain/outer" not in listed
    assert run(["block", "types", "--interface", "secret"]) == 0
    assert "chain" not in capsys.readouterr().out
