"""What ``docs/observing.md`` shows is done as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.server.open_lineage.mapping import _VERBS

from ..live_api import Api

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "observing.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def told(event: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Client.from_settings().get("events", {"event": event})["items"]
    return found


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """``orchestrator``, and a ``crontab`` with a job."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, script in {
        "orchestrator": f'exec {sys.executable} -m orchestrator "$@"',
        "crontab": "echo '5 4 * * * backup.sh'",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_examples_do_what_the_page_says(api: Api, programs: Path, tmp_path: Path) -> None:
    assert len(EXAMPLES) == 6
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}

    def do(script: str) -> str:
        script = script.replace("http://127.0.0.1:4200", api.url)
        done = subprocess.run(
            ["sh", "-ec", script], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    create, crontab, shell, lineage, binary, batch = EXAMPLES
    url = do(create).strip()
    do(f"curl -fsS {url}/start; ( exit 3 ) || curl -fsS -m 10 --retry 3 -o /dev/null {url}/$?")
    assert [event["event"] for event in told("ping.*")][:2] == ["ping.failed", "ping.started"]
    do(crontab)
    assert "( backup.sh ); curl" in (tmp_path / "new.crontab").read_text()
    assert do(shell) == "3 rows\n"
    assert told("shell.completed")[0]["payload"]["output"] == "3 rows\n"
    send = "import openlineage.client as c; from openlineage.client.event_v2 import *; from datetime import *\n"
    send += "at = datetime.now(timezone.utc).isoformat(); job = Job('n', 'j')\n"
    send += "c.OpenLineageClient().emit(JobEvent(eventTime=at, job=job, producer='https://example.com'))"
    (tmp_path / "send.py").write_text(send)
    do(f"{lineage}\n{sys.executable} send.py")
    assert told("lineage.job.described")[0]["resource"]["resource.id"] == "job:n/j"
    assert do(binary) == do(batch) == '{"accepted":1,"refused":[]}'
    created = told("order.created")[0]
    assert created["resource"]["resource.id"] == "https://shop.example.com/orders/4711"
    assert {event["event"] for event in told("order.*")} == {"order.created", "order.paid"}


def test_events_that_the_page_names_are_those_that_the_code_sends() -> None:
    assert all(f".{verb}`" in PAGE for verb in _VERBS.values())
