"""A run that goes on is set aside for another one, and taken up again later."""

from __future__ import annotations

import uuid
from pathlib import Path

from ..agents import gone
from ..polling import until
from ..projects import write_flow
from ..stack import Stack

BODY = """(folder: str, waits: bool = True) -> str:
    began = os.path.join(folder, "began")
    with open(began + ".new", "w") as file:
        file.write(str(os.getpid()))
    os.replace(began + ".new", began)
    step()
    while waits and not os.path.exists(os.path.join(folder, "release")):
        time.sleep(0.05)
    return "done"


@task
def step():
    print("a step")
"""


def test_a_run_is_suspended_another_takes_its_slot_and_it_is_resumed(stack: Stack, tmp_path: Path) -> None:
    name = f"aside-{uuid.uuid4().hex[:6]}"
    project = write_flow(tmp_path / "project", BODY, "job")
    stack.client.post("work-queues", {"name": name, "concurrency_limit": 1})
    words = ["deployment", "build", "./flow.py:job", "-n", name, "-q", name, "-o", "deployment.yaml", "--apply"]
    built = stack.cli(*words, cwd=project)
    assert built.returncode == 0, built.stderr

    def start(folder: Path, *more: str) -> str:
        folder.mkdir()
        given = ["--param", f"folder={folder}", *more]
        return str(stack.json("deployment", "run", f"job/{name}", *given)["id"])

    def state_of(run: str) -> str:
        return str(stack.client.get(f"flow-runs/{run}")["state"]["name"])

    with stack.agent(name, options=("--limit", "1")):
        folder = tmp_path / "first"
        first = start(folder)
        pid = int(until(lambda: (folder / "began").exists() and (folder / "began").read_text(), "the run to begin"))
        second = start(tmp_path / "second", "--param", "waits=false")
        assert "limit-full" in stack.cli("flow-run", "why", second).stdout

        done = stack.cli("flow-run", "suspend", first, "--for", "1h")
        assert done.returncode == 0, done.stderr
        assert "Suspending" in done.stderr
        assert stack.wait_for_run(second)["state"]["type"] == "COMPLETED"
        assert gone(pid)
        assert state_of(first) == "Suspended"
        (listed,) = stack.json("flow-run", "ls", "--state", "suspended", "--deployment", f"job/{name}")
        assert listed["id"] == first
        assert "suspended: It waits until it is resumed, and fails at " in stack.cli("flow-run", "why", first).stdout
        refused = stack.cli("flow-run", "resume", second)
        assert (refused.returncode, "not suspended" in refused.stderr) == (1, True)

        (folder / "began").unlink()
        assert stack.cli("flow-run", "resume", first).returncode == 0
        until((folder / "began").exists, "the run to begin anew")
        (folder / "release").touch()
        ended = stack.wait_for_run(first)
    assert (ended["state"]["type"], ended["attempt"], ended["result"]) == ("COMPLETED", 2, {"value": "done"})
    names = [state["name"] for state in stack.client.pages(f"flow-runs/{first}/states")]
    assert [item for item in names if item.startswith("Suspend")] == ["Suspending", "Suspended"]
    tasks = stack.client.get("task-runs", {"flow_run_id": first})["items"]
    assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}
