"""``orchestrator notification``."""

from __future__ import annotations

import uuid

from .api import Api, page
from .conftest import Cli

RUN = str(uuid.uuid4())


def test_notifications(api: Api, cli: Cli) -> None:
    row = {
        "id": RUN, "state": "given-up", "subject": "Failed: etl/prod, run x", "block": "slack/team", "attempts": 12,
        "error": "it is away", "created": "2026-01-01T00:00:00Z", "next_try": None,
    }  # fmt: skip
    api.answers["GET notifications"] = page(row)
    shown = cli("notification", "ls", "--state", "given-up", "--run", RUN)
    assert "it is away" in shown.out
    [(query, _)] = api.calls("GET notifications")
    assert query == {"state": ["given-up"], "flow_run_id": [RUN], "limit": ["50"]}
    assert cli("notification", "ls", "--output", "json").json == [row]
    assert cli("notification", "ls", "--state", "lost").code == 2
    api.answers["GET notifications"] = page()
    assert "`notifications`" in cli("notification", "ls").err
