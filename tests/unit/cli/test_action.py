"""``orchestrator action``."""

from __future__ import annotations

import uuid

from .api import Api, page
from .conftest import Cli

ID = str(uuid.uuid4())
ROW = {
    "id": ID, "state": "given-up", "kind": "notify", "trigger": {"id": ID, "name": "late-orders"},
    "target": "slack/team", "attempts": 12, "error": "it is away", "created": "2026-01-01T00:00:00Z", "next_try": None,
}  # fmt: skip


def test_listing(api: Api, cli: Cli) -> None:
    api.answers["GET actions"] = page(ROW)
    shown = cli("action", "ls", "--state", "given-up", "--run", ID, "--kind", "notify")
    assert "late-orders" in shown.out
    assert "it is away" in shown.out
    [(query, _)] = api.calls("GET actions")
    assert query == {"state": ["given-up"], "kind": ["notify"], "flow_run_id": [ID], "limit": ["50"]}
    assert cli("action", "ls", "--output", "json").json == [ROW]
    assert cli("action", "ls", "--state", "lost").code == 2
    api.answers["GET actions"] = page()
    assert "firings of triggers" in cli("action", "ls").err


def test_one(api: Api, cli: Cli) -> None:
    api.answers[f"GET actions/{ID}"] = ROW
    assert cli("action", "inspect", ID, "--output", "json").json == ROW
    api.answers[f"POST actions/{ID}/redo"] = {**ROW, "state": "waiting"}
    assert "waiting" in cli("action", "redo", ID).out
    assert cli("action", "redo", "x").code == 2
