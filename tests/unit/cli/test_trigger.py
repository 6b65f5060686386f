"""``orchestrator trigger`` and ``orchestrator firing``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ...polling import one_line
from .api import Api, page
from .conftest import Cli

MADE: dict[str, Any] = {"id": "t1", "name": "late", "sentence": "When orders are late.", "standing": "armed"}
DOCUMENT = {"name": "late", "when": {"expect": "order.late"}, "then": []}


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "late.yaml").write_text("name: late\nwhen: {expect: order.late}\nthen: []\n")
    return str(tmp_path / "late.yaml")


def test_triggers_are_made_replaced_and_updated(api: Api, cli: Cli, file: str) -> None:
    api.answers.update({f"{verb} triggers": MADE for verb in ("POST", "PUT")})
    api.answers["PATCH triggers/late"] = MADE
    assert "When orders are late." in cli("trigger", "create", file).err
    assert cli("trigger", "create", file, "--replace", "--output", "json").json == [MADE]
    assert cli("trigger", "update", "late", file).code == 0
    for call in ("POST triggers", "PUT triggers", "PATCH triggers/late"):
        assert [body for _, body in api.calls(call)] == [DOCUMENT]


def test_triggers_are_listed_switched_muted_and_deleted(api: Api, cli: Cli) -> None:
    owned = "triggers/flights/nightly/late"
    api.answers.update({"GET triggers": page(MADE), "GET triggers/late": MADE, f"GET {owned}": MADE})
    api.answers.update({"PATCH triggers/late": MADE, "POST triggers/t1/mute": MADE, "DELETE triggers/late": None})
    assert "armed" in cli("trigger", "ls", "--severity", "critical").out
    assert api.calls("GET triggers")[0][0] == {"severity": ["critical"], "limit": ["50"]}
    assert cli("trigger", "inspect", "flights/nightly/late", "--output", "json").json == MADE
    assert [cli("trigger", verb, "late").code for verb in ("enable", "disable")] == [0, 0]
    assert [body for _, body in api.calls("PATCH triggers/late")] == [{"active": True}, {"active": False}]
    assert cli("trigger", "mute", "late", "--until", "2026-01-31T09:00:00Z").code == 0
    assert cli("trigger", "mute", "late", "--off").code == 0
    muted = [body["until"] for _, body in api.calls("POST triggers/t1/mute")]
    assert muted == ["2026-01-31T09:00:00.000000Z", None]
    assert cli("trigger", "mute", "late").code == 2
    assert cli("trigger", "delete", "late").code == 2
    assert cli("trigger", "delete", "late", "--yes").err == "deleted late\n"


def test_history_is_replayed(api: Api, cli: Cli, file: str) -> None:
    firing = {"at": "2026-01-31T09:00:00Z", "key": "", "reason": "it came", "suppressed": False, "resolved": None}
    replay = {
        "sentence": "When.",
        "firings": [firing],
        "fired": 1,
        "matching": 1,
        "events": 9,
        "is_cut": True,
        "until": "x",
    }
    api.answers["POST triggers/test"] = replay
    told = cli("trigger", "test", file, "--since", "2026-01-01T00:00:00Z")
    assert "it came" in told.out
    assert "1 firings; 1 of 9 events counted" in told.err
    assert "it ends at x" in told.err
    body = {"document": DOCUMENT, "since": "2026-01-01T00:00:00.000000Z"}
    assert api.calls("POST triggers/test")[0][1] == body
    assert cli("trigger", "test", file, "--output", "json").json == replay
    refused = cli("trigger", "test", file, "--since", "once")
    assert (refused.code, "--since" in one_line(refused.err)) == (2, True)


def test_an_event_is_explained(api: Api, cli: Cli) -> None:
    api.answers["GET triggers/late"] = MADE
    api.answers["POST triggers/t1/explain"] = {"counts": False, "verdicts": [{"ok": False, "what": "its name"}]}
    told = cli("trigger", "explain", "late", "e1")
    assert "its name" in told.out
    assert "does not count" in told.err
    assert api.calls("POST triggers/t1/explain")[0][1] == {"event_id": "e1"}


def test_firings(api: Api, cli: Cli) -> None:
    fired = {"id": "f1", "state": "open", "trigger": {"name": "late"}, "reason": "it came", "acknowledged_by": "ann"}
    api.answers.update({"GET triggers/late": MADE, "GET firings": page(fired), "GET firings/f1": fired})
    api.answers.update({"POST firings/f1/acknowledge": fired, "POST firings/f1/resolve": fired})
    assert "it came" in cli("firing", "ls", "--trigger", "late", "--state", "open", "--chain", "c1").out
    asked = {"trigger_id": ["t1"], "state": ["open"], "chain_id": ["c1"], "limit": ["50"]}
    assert api.calls("GET firings")[0][0] == asked
    assert cli("firing", "inspect", "f1", "--output", "json").json == fired
    assert "f1 is acknowledged by ann" in cli("firing", "acknowledge", "f1").err
    assert "f1 is resolved" in cli("firing", "resolve", "f1").err
