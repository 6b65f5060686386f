"""``orchestrator webhook``, against a real API."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from orchestrator.cli import cli

from ..live_api import Api


def run(*words: str, code: int = 0, input: str | None = None) -> str:
    done = CliRunner().invoke(cli, ["webhook", *words], input=input)
    assert done.exit_code == code, (done.output, done.exception)
    return done.stdout


def read(*words: str) -> Any:
    return json.loads(run(*words, "--output", "json"))


def post(address: str, body: Any, **headers: str) -> int:
    data = json.dumps(body).encode()
    asked = urllib.request.Request(address, data, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)


def test_a_webhook_from_the_command_line(api: Api, tmp_path: Path) -> None:
    address = run("create", "shop", "--description", "Orders").strip()
    assert address.startswith(f"{api.url}/hooks/")
    assert post(address, {"n": 1}) == 204
    [delivery] = read("deliveries", "shop")
    assert delivery["outcome"] == "accepted"
    template = tmp_path / "edited.jinja"
    template.write_text('{"event": "n.{{ body.n }}", "resource": {"resource.id": "a"}}')
    rendered = run("render", "shop", "--template", str(template), "--delivery", delivery["id"])
    assert json.loads(rendered)[0]["event"] == "n.1"
    assert "n.1" not in run("render", "shop")
    template.write_text("{{ body.nothing }}")
    assert (
        "nothing"
        in json.loads(run("render", "shop", "--template", str(template), "--output", "json", code=1))["reason"]
    )
    template.write_text("{{ body")
    refused = CliRunner().invoke(cli, ["webhook", "update", "shop", "--template", str(template)])
    assert "line 1" in str(refused.exception)
    run("update", "shop", code=2)
    run("update", "shop", "--secret", "-", "--signature", "token", "--header", "X-Check", input="s3cret\n")
    assert (post(address, {}), post(address, {}, **{"X-Check": "s3cret"})) == (401, 204)
    assert len(read("deliveries", "shop", "--outcome", "refused")) == 1
    run("update", "shop", "--signature", "none")
    assert read("inspect", "shop")["signature"] is None
    run("disable", "shop")
    assert (post(address, {}), read("ls")[0]["active"]) == (404, False)
    run("enable", "shop")
    other = run("rotate", "shop", "--yes").strip()
    assert (post(address, {}), post(other, {})) == (404, 204)
    assert "alertmanager" in run("presets")
    run("delete", "shop", "--yes")
    assert "no webhook" in str(CliRunner().invoke(cli, ["webhook", "inspect", "shop"]).exception)
    assert read("ls") == []
