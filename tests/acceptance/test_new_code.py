"""After a deploy no old code runs, though no agent is restarted (pain 54)."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from ..polling import until
from ..stack import Stack

FLOW = """
import os, time
from pathlib import Path
from orchestrator import flow
import prices

@flow
def shop(began: str = "", release: str = "") -> str:
    import late
    while release and not os.path.exists(release):
        Path(began).touch()
        time.sleep(0.02)
    import later
    return "flow {n}, " + prices.VALUE + ", " + late.VALUE + ", " + later.VALUE
"""


def write(project: Path, number: int) -> None:
    project.mkdir(exist_ok=True)
    (project / "flow.py").write_text(FLOW.replace("{n}", str(number)))
    for name in ("prices", "late", "later"):
        (project / f"{name}.py").write_text(f"VALUE = '{name} {number}'\n")


def told(number: int) -> str:
    return f"flow {number}, prices {number}, late {number}, later {number}"


def test_the_next_run_uses_new_code_and_one_that_goes_on_keeps_its_own(stack: Stack, tmp_path: Path) -> None:
    project, name = tmp_path / "project", f"new-{uuid.uuid4().hex[:6]}"
    storage = f"local-file-system/{name}"
    assert stack.cli("block", "create", storage, "--set", f"basepath={tmp_path / 'store'}").returncode == 0

    def build(number: int) -> None:
        write(project, number)
        words = ("-n", name, "-q", name, "-sb", storage, "-o", "d.yaml", "--apply")
        done = stack.cli("deployment", "build", "./", *words, cwd=project)
        assert done.returncode == 0, done.stderr

    def start(**parameters: Any) -> str:
        return str(stack.client.post(f"deployments/shop/{name}/runs", {"parameters": parameters})["id"])

    build(1)
    began, release = tmp_path / "began", tmp_path / "release"
    with stack.agent(name):
        long = start(began=str(began), release=str(release))
        until(began.exists, what="the long run to begin")
        first = stack.wait_for_run(start())
        build(2)
        second = stack.wait_for_run(start())
        release.touch()
        kept = stack.wait_for_run(long)
    values = [run["result"]["value"] for run in (first, second, kept)]
    assert values == [told(1), told(2), told(1)]
    assert first["snapshot"] == kept["snapshot"] != second["snapshot"]
    shown = stack.json("deployment", "inspect", f"shop/{name}")
    assert second["snapshot"] == shown["storage"]["snapshot"]
