"""``orchestrator chain``: applied from a file, run, followed, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

FILE = """
name: nightly
steps:
  extract: {deployment: orders/extract, parameters: {at: 12:30, day: 2026-01-31}}
  alarm: {deployment: people/alarm, after: extract, on: [failed, crashed]}
---
name: other
steps: {only: {deployment: orders/extract}}
"""
CHAIN: dict[str, Any] = {"name": "nightly", "version": 3, "runs": 2, "document": {"steps": {"a": {}, "b": {}}}}


def test_apply_sends_each_document_as_it_was_meant(api: Api, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "chains.yaml").write_text(FILE)
    api.answers["POST chains"] = lambda _, body: (201, {"chain": {**CHAIN, "name": body["name"]}, "change": "created"})
    done = cli("chain", "apply", str(tmp_path / "chains.yaml"))
    assert done.err == "nightly: created, version 3\nother: created, version 3\n"
    nightly, other = [body for _, body in api.calls("POST chains")]
    # YAML takes a bare `on` for a truth, and 12:30 for a number
    assert nightly["steps"]["alarm"] == {"deployment": "people/alarm", "after": "extract", "on": ["failed", "crashed"]}
    assert nightly["steps"]["extract"]["parameters"] == {"at": "12:30", "day": "2026-01-31"}
    assert other["name"] == "other"
    assert len(cli("chain", "apply", str(tmp_path / "chains.yaml"), "--output", "json").json) == 2


@pytest.mark.parametrize("text", ["", "[1]", "a: [", "just words"])
def test_apply_refuses_files_that_hold_no_chain(api: Api, cli: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "chain.yaml").write_text(text)
    refused = cli("chain", "apply", str(tmp_path / "chain.yaml"))
    assert (refused.code, "chain.yaml" in one_line(refused.err)) == (2, True)
    assert api.asked == []


def test_chains_are_listed_shown_and_deleted(api: Api, cli: Cli) -> None:
    api.answers.update({"GET chains": page(CHAIN), "GET chains/nightly": CHAIN, "DELETE chains/nightly": None})
    assert "nightly" in cli("chain", "ls").out
    assert cli("chain", "ls", "--output", "json").json == [CHAIN]
    assert cli("chain", "inspect", "nightly", "--version", "2", "--output", "json").json == CHAIN
    assert api.calls("GET chains/nightly")[0][0] == {"version": ["2"]}
    assert cli("chain", "delete", "nightly").code == 2  # nobody can be asked here
    assert cli("chain", "delete", "nightly", "missing", "--yes").code == 1  # none of them, unless all are there
    assert api.calls("DELETE chains/nightly") == []
    assert cli("chain", "delete", "nightly", "--yes").err == "deleted nightly\n"


def test_a_chain_is_run_and_followed(api: Api, cli: Cli) -> None:
    steps = [
        {"name": "extract", "status": "done", "deployment": "orders/extract", "flow_run": {"id": "f1"}, "why": ""},
        {"name": "alarm", "status": "waiting", "deployment": "people/alarm", "flow_run": None, "why": "for extract"},
    ]
    run = {"id": "r1", "version": 3, "status": "running", "started": "2026-01-31T09:00:00.000000Z", "steps": steps}
    api.answers.update({"POST chains/nightly/runs": (201, run), "GET chains/nightly/runs": page(run)})
    api.answers["GET chains/nightly/runs/r1"] = run
    done = cli("chain", "run", "nightly", "--param", "day=2026-01-31", "--param", "rows=5")
    assert "orchestrator chain runs nightly r1" in done.err
    assert api.calls("POST chains/nightly/runs")[0][1] == {"parameters": {"day": "2026-01-31", "rows": 5}}
    assert cli("chain", "run", "nightly", "--param", "day").code == 2
    assert "1 of 2" in cli("chain", "runs", "nightly").out
    assert "for extract" in cli("chain", "runs", "nightly", "r1").out
    assert cli("chain", "runs", "nightly", "r1", "--output", "json").json == run
