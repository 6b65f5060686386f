"""What code learns of its run, holds while it runs, shows and moves: through a server and an agent."""

from __future__ import annotations

import json
import os
import signal
import uuid
from pathlib import Path
from typing import Any

from ..polling import until
from ..projects import write_flow
from ..stack import Stack

BODY = """(folder: str, mark: str) -> dict:
    from orchestrator import concurrency, runtime

    with concurrency(mark):
        began = os.path.join(folder, runtime.flow_run.name)
        with open(began, "w") as file:
            file.write(str(os.getpid()))
        while not os.path.exists(os.path.join(folder, "release")):
            time.sleep(0.05)
    load(mark)
    return {
        "deployment": runtime.deployment.name, "id": runtime.deployment.id, "flow": runtime.flow_run.flow_name,
        "queue": runtime.flow_run.work_queue_name, "run": runtime.flow_run.id, "count": runtime.flow_run.run_count,
        "due": str(runtime.flow_run.scheduled_start_time), "name": runtime.flow_run.name,
    }


@task(reads=["s3://raw/{mark}.csv"], writes=["db://house/{mark}"], tags=["held"])
def load(mark):
    from orchestrator import create_progress_artifact, update_progress_artifact

    bar = create_progress_artifact(0, key=mark)
    update_progress_artifact(bar, 100)
"""


def test_a_killed_run_gives_its_slot_to_the_next_which_knows_itself_and_tells_what_it_moved(
    stack: Stack, tmp_path: Path
) -> None:
    name = f"ctx-{uuid.uuid4().hex[:6]}"
    project, folder = write_flow(tmp_path / "project", BODY, "job"), tmp_path / "seen"
    folder.mkdir()
    words = ["deployment", "build", "./flow.py:job", "-n", name, "-q", name, "-o", "deployment.yaml", "--apply"]
    assert stack.cli(*words, cwd=project).returncode == 0
    assert stack.cli("limit", "create", name, "--slots", "1").returncode == 0

    def start() -> dict[str, Any]:
        given = ["--param", f"folder={folder}", "--param", f"mark={name}"]
        found: dict[str, Any] = stack.json("deployment", "run", f"job/{name}", *given)
        return found

    def limit() -> dict[str, Any]:
        found: dict[str, Any] = stack.client.get(f"limits/{name}")
        return found

    with stack.agent(name, options=("--limit", "2")):
        first = start()
        began = folder / first["name"]
        pid = int(until(lambda: began.exists() and began.read_text(), "the first to hold the slot"))
        second = start()
        until(lambda: limit()["waiting"], "the second to wait")
        [holder] = limit()["holders"]
        assert (holder["flow_run_id"], holder["name"], holder["deployment"]) == (first["id"], first["name"], name)
        os.kill(pid, signal.SIGKILL)
        assert stack.wait_for_run(first["id"])["state"]["type"] == "CRASHED"
        until((folder / second["name"]).exists, "the second to hold the slot")
        (folder / "release").touch()
        ended = stack.wait_for_run(second["id"])
    assert ended["state"]["type"] == "COMPLETED", ended
    told = ended["result"]["value"]
    assert (told["deployment"], told["flow"], told["queue"], told["count"]) == (name, "job", name, 1)
    assert (told["run"], told["name"]) == (second["id"], second["name"])
    assert told["due"].startswith("20")
    assert limit()["taken"] == 0

    deployment = f"orchestrator.deployment.{told['id']}"
    relations = until(
        lambda: [
            (item["source"], item["target"], item["role"])
            for item in stack.client.pages("relations", {"resource": f"db://house/{name}"})
        ],
        "what was moved",
    )
    assert (deployment, f"db://house/{name}", "writes") in relations
    assert (f"db://house/{name}", f"s3://raw/{name}.csv", "reads") in relations
    shown = json.loads(stack.cli("artifact", "inspect", name, "--output", "json").stdout)
    assert (shown["data"], shown["flow_run_id"]) == (100, second["id"])
