"""People are told of a run that fails, and of one whose process is killed; what they are not told shows."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from ..polling import until
from ..projects import write_flow
from ..stack import Stack
from ..standins import messengers

BODY = """(how: str = "raise") -> None:
    if how == "kill":
        os.kill(os.getpid(), 9)
    if how == "raise":
        raise RuntimeError("no such table")
"""
PAGER = '''
from orchestrator import Block
from orchestrator.interfaces import Notifier


class Pager(Block, Notifier):
    """Writes into a file."""

    path: str

    def notify(self, body: str, subject: str = "") -> None:
        with open(self.path, "a") as file:
            file.write(subject)
'''


def deploy(stack: Stack, project: Path, name: str, notifier: str) -> None:
    """A deployment on a queue of its name, whose file was given a notifier."""
    store = f"local-file-system/{name}"
    for words in (
        ("block", "create", store, "--set", f"basepath={project.parent / 'store'}"),
        ("deployment", "build", "./", "-n", name, "-sb", store, "-q", name, "-o", "d.yaml"),
    ):
        done = stack.cli(*words, cwd=project)
        assert done.returncode == 0, done.stderr
    file = project / "d.yaml"
    file.write_text(file.read_text().replace("notifications: []", f"notifications:\n  - block: {notifier}"))
    applied = stack.cli("deployment", "apply", "d.yaml", cwd=project)
    assert applied.returncode == 0, applied.stderr


def test_a_failed_and_a_crashed_run_are_told(stack: Stack, tmp_path: Path) -> None:
    name = f"told-{uuid.uuid4().hex[:6]}"
    project = write_flow(tmp_path / "project", BODY)
    with messengers.Slack() as slack, stack.agent(name):
        url = f"webhook_url={slack.url}/services/T0/B0/{slack.key}"
        created = stack.cli("block", "create", f"slack/{name}", "--set", url)
        assert created.returncode == 0, created.stderr
        deploy(stack, project, name, f"slack/{name}")
        slack.failing(503, "on fire")
        runs = {
            how: stack.client.post(f"deployments/job/{name}/runs", {"parameters": {"how": how}})["id"]
            for how in ("nothing", "raise", "kill")
        }
        ended = {how: stack.wait_for_run(run) for how, run in runs.items()}
        types = {how: run["state"]["type"] for how, run in ended.items()}
        assert types == {"nothing": "COMPLETED", "raise": "FAILED", "kill": "CRASHED"}
        until(lambda: len(slack.messages) == 2, "both messages, one of them by its second try", 60)
        texts = sorted(message.text for message in slack.messages)
        assert f"Crashed: job/{name}, run {ended['kill']['name']}" in texts[0]
        assert f"Failed: job/{name}, run {ended['raise']['name']}" in texts[1]
        assert "no such table" in texts[1]
        assert f"http://127.0.0.1:{stack.port}/runs/{runs['raise']}" in texts[1]

        def told(run: str) -> dict[str, Any]:
            (action,) = stack.json("action", "ls", "--run", run)
            return action

        until(lambda: all(told(runs[how])["state"] == "done" for how in ("raise", "kill")), "that to be noted")
    assert sorted(told(runs[how])["attempts"] for how in ("raise", "kill")) == [1, 2]
    assert stack.json("action", "ls", "--run", runs["nothing"]) == []
    assert slack.key not in str(stack.json("action", "ls"))


def test_a_kind_of_ones_own_is_sent_by_an_agent(stack: Stack, tmp_path: Path) -> None:
    name = f"own-{uuid.uuid4().hex[:6]}"
    project, said = write_flow(tmp_path / "project", BODY), tmp_path / "said.txt"
    module = f"pager_{uuid.uuid4().hex[:6]}"
    (project / f"{module}.py").write_text(PAGER)
    before = stack.environment.get("PYTHONPATH", "")
    stack.environment["PYTHONPATH"] = ":".join(filter(None, [str(project), before]))
    try:
        registered = stack.cli("block", "register", module, cwd=project)
        assert registered.returncode == 0, registered.stderr
        created = stack.cli("block", "create", f"pager/{name}", "--set", f"path={said}")
        assert created.returncode == 0, created.stderr
        deploy(stack, project, name, f"pager/{name}")
        with stack.agent(name):
            run = stack.wait_for_run(stack.client.post(f"deployments/job/{name}/runs", {})["id"])
            assert run["state"]["type"] == "FAILED"
            until(said.exists, "the message", 60)
            until(lambda: stack.json("action", "ls", "--run", run["id"])[0]["state"] == "done", "the note of it")
    finally:
        stack.environment["PYTHONPATH"] = before
    assert said.read_text() == f"Failed: job/{name}, run {run['name']}"
