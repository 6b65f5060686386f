"""``orchestrator expectation``: made from files, listed, switched, suggested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

MADE: dict[str, Any] = {"name": "by-nine", "sentence": "A run by nine.", "severity": "warning", "muted_until": None}
FILE = "name: by-nine\non: {expect: file.created}\nevery: {cron: 0 9 * * *}\nby: 09:15\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "expectation.yaml").write_text(FILE)
    return str(tmp_path / "expectation.yaml")


def test_create_check_and_update(api: Api, cli: Cli, file: str) -> None:
    api.answers.update({"POST expectations": (201, MADE), "PATCH expectations/by-nine": MADE})
    api.answers["POST expectations/check"] = {"sentence": "A run by nine.", "next": ["2026-01-31T09:00:00Z"]}
    assert cli("expectation", "create", file).err == "by-nine: A run by nine.\n"
    document = {"name": "by-nine", "on": {"expect": "file.created"}, "every": {"cron": "0 9 * * *"}, "by": "09:15"}
    assert api.calls("POST expectations")[0][1] == document
    assert "A run by nine." in cli("expectation", "create", file, "--check").out
    assert len(api.calls("POST expectations")) == 1
    api.answers["POST expectations"] = (409, {"code": "conflict", "message": "there is one", "errors": {}})
    assert cli("expectation", "create", file).code == 1
    assert cli("expectation", "create", file, "--update", "--output", "json").json == MADE
    assert api.calls("PATCH expectations/by-nine")[0][1] == document


@pytest.mark.parametrize("text", ["", "[1, 2]", "name: ["])
def test_files_that_hold_none_are_refused(api: Api, cli: Cli, tmp_path: Path, text: str) -> None:
    (tmp_path / "wrong.yaml").write_text(text)
    refused = cli("expectation", "create", str(tmp_path / "wrong.yaml"))
    assert (refused.code, "wrong.yaml" in one_line(refused.err)) == (2, True)
    assert api.asked == []


def test_they_are_listed_shown_switched_and_deleted(api: Api, cli: Cli) -> None:
    due = {"expectation": "by-nine", "key": "", "status": "due", "deadline": "2026-01-31T09:15:00Z", "satisfied": None}
    path = "expectations/by-nine"
    api.answers.update({"GET expectations": page(MADE), f"GET {path}": MADE, f"GET {path}/occurrences": page(due)})
    api.answers.update({f"POST {path}/{verb}": MADE for verb in ("enable", "disable", "mute")})
    api.answers[f"DELETE {path}"] = None
    api.answers["GET expectations/occurrences"] = page(due)
    assert "A run by nine." in cli("expectation", "ls", "--owner", "sales").out
    assert api.calls("GET expectations")[0][0] == {"owner": ["sales"], "limit": ["50"]}
    assert cli("expectation", "inspect", "by-nine", "--output", "json").json == {**MADE, "occurrences": [due]}
    assert "due" in cli("expectation", "occurrences", "--status", "due", "--after", "2026-01-01T00:00:00Z").out
    [(asked, _)] = api.calls("GET expectations/occurrences")
    assert (asked["status"], asked["after"][0][:10]) == (["due"], "2026-01-01")
    assert "by-nine is off" in cli("expectation", "disable", "by-nine").err
    assert "by-nine is on" in cli("expectation", "enable", "by-nine").err
    assert "no longer muted" in cli("expectation", "mute", "by-nine").err
    assert api.calls(f"POST {path}/mute")[0][1] == {"until": None}
    assert cli("expectation", "delete", "by-nine").code == 2
    assert cli("expectation", "delete", "by-nine", "--yes").err == "deleted by-nine\n"


def test_suggestions_are_documents_that_can_be_made(api: Api, cli: Cli) -> None:
    document = {"name": "orders-daily", "on": {"expect": ["sql.table.changed"]}, "within": "24h"}
    api.answers["GET expectations/suggestions"] = page({"document": document, "sentence": "Daily.", "seen": 9})
    text = cli("expectation", "suggest", "--yaml", "--timezone", "Europe/Berlin").out
    assert list(yaml.safe_load_all(text)) == [document]
    assert api.calls("GET expectations/suggestions")[0][0] == {"timezone": ["Europe/Berlin"]}
    assert "Daily." in cli("expectation", "suggest").out
