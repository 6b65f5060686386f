"""A signature that changes: what names parameters that it does not take is listed, and it is refused (pain 49)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.client import Client
from orchestrator.errors import InvalidInput
from tests.live_api import Api

pytestmark = pytest.mark.usefixtures("database_url")


def document(**properties: Any) -> dict[str, Any]:
    return {
        "flow": "sales", "name": "daily", "entrypoint": "flow.py:sales",
        "parameter_schema": {"type": "object", "properties": properties},
    }  # fmt: skip


OLD = document(day={"type": "string"}, number={"type": "integer"})
#: ``day`` is called ``date`` now, and ``number`` a text.
NEW = document(date={"type": "string"}, number={"type": "string"})


@pytest.fixture
def client(api: Api) -> Client:
    found = Client.from_settings()
    with_times = {**OLD, "schedules": [{"cron": "0 9 * * *", "parameters": {"day": "today"}}, {"interval": 3600}]}
    deployment = found.post("deployments", with_times)["deployment"]["id"]
    action = {"do": "run-deployment", "deployment": "sales/daily"}
    for name, parameters in (("on-upload", {"number": 3}), ("templated", {"number": "{{ event.id }}"}), ("bare", {})):
        body = {"name": name, "when": {"expect": ["file.landed"]}, "then": [{**action, "parameters": parameters}]}
        found.post("triggers", body)
    steps: dict[str, Any] = {"begin": {"deployment": "sales/daily", "parameters": {"day": "tuesday"}}}
    found.post("chains", {"name": "week", "steps": steps})
    steps["then"] = {"deployment": "sales/daily", "after": ["begin"], "parameters": {"number": 7}}
    found.post("chains", {"name": "week", "steps": steps})
    found.put(f"deployments/{deployment}/forms/mondays", {"parameters": {"day": "monday"}})
    return found


def test_all_are_listed_and_nothing_is_changed(client: Client) -> None:
    with pytest.raises(InvalidInput) as refused:
        client.post("deployments", {**NEW, "version": "2"})
    assert set(refused.value.errors) == {
        "schedules.cron.parameters.day",
        "triggers.on-upload.parameters.number",
        "chains.week.steps.begin.parameters.day",
        "chains.week.steps.then.parameters.number",
        "forms.mondays.parameters.day",
    }
    assert "apply with --force" in str(refused.value)
    shown = client.get("deployments/sales/daily")
    assert (shown["version"], set(shown["parameter_schema"]["properties"])) == ("", {"day", "number"})
    assert all(item["active"] for item in shown["schedules"])


def test_what_is_given_anew_is_not_listed(client: Client) -> None:
    client.delete("triggers/on-upload")
    client.delete("chains/week")
    with pytest.raises(InvalidInput) as refused:
        client.post("deployments", {**NEW, "schedules": [{"cron": "0 9 * * *", "parameters": {"date": "today"}}]})
    assert set(refused.value.errors) == {"forms.mondays.parameters.day"}


def test_with_force_schedules_stop_and_all_is_told(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "deployment.yaml"
    path.write_text("flow: sales\nname: daily\nentrypoint: flow.py:sales\nparameter_schema:\n  type: object\n"
                    "  properties: {date: {type: string}, number: {type: string}}\n")  # fmt: skip
    assert cli.run(["deployment", "apply", str(path)]) == 2
    assert "triggers.on-upload.parameters.number: 3 is not of type 'string'" in capsys.readouterr().err
    assert cli.run(["deployment", "apply", str(path), "--force"]) == 0
    said = capsys.readouterr().out
    for what in ("schedule cron", "trigger on-upload", "form mondays"):
        assert f"{what}: its parameters do not fit any more" in said
    cron, interval = client.get("deployments/sales/daily")["schedules"]
    assert (cron["active"], interval["active"]) == (False, True)
    assert cron["note"].startswith("Stopped: schedule cron: its parameters do not fit any more (day: ")
    assert cli.run(["deployment", "apply", str(path)]) == 0
    assert "unchanged" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="day"):
        client.patch(f"schedules/{cron['id']}", {"active": True})
    mended = client.patch(f"schedules/{cron['id']}", {"active": True, "parameters": {"date": "today"}})
    assert (mended["active"], mended["note"]) == (True, "")
