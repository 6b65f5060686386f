"""A run fails, and a ticket is created."""

from __future__ import annotations

from pathlib import Path

from ..polling import until
from ..stack import Stack
from ..standins import trackers
from ..stories import deploy, new_name, save, start

FAILS = """() -> None:
    raise RuntimeError("no such table: orders")
"""


def test_a_ticket_is_created(stack: Stack, tmp_path: Path) -> None:
    name = new_name("ticket")
    with trackers.Jira() as jira, stack.agent(name):
        address = {"api_url": jira.url, "email": "robot@example.com", "api_token": jira.key, "project": "OPS"}
        save(stack, f"jira/{name}", **address)
        trigger = {
            "name": name,
            "when": {
                "expect": "flow-run.failed",
                "match_related": {"resource.role": "deployment", "resource.name": name},
            },
            "then": [
                {
                    "do": "create-ticket",
                    "block": f"jira/{name}",
                    "title": "{{ flow.name }}/{{ deployment.name }} failed: {{ flow_run.state_message }}",
                    "description": "See {{ flow_run | url }}",
                    "labels": ["load"],
                }
            ],
        }
        deploy(stack, tmp_path, name, FAILS, triggers=[trigger])
        run = start(stack, name)
        assert stack.wait_for_run(run)["state"]["type"] == "FAILED"
        [issue] = until(lambda: [*jira.issues.values()], "the ticket", 90)
        assert issue.title.startswith(f"job/{name} failed: ")
        assert "no such table: orders" in issue.title
        assert f"http://127.0.0.1:{stack.port}/runs/{run}" in trackers.text_of(issue.body)
        assert issue.labels == ["load"]

        def done() -> list[dict[str, object]]:
            return [item for item in stack.json("action", "ls", "--run", run) if item["state"] == "done"]

        [action] = until(done, "the note of it", 60)
    assert action["kind"] == "create-ticket"
    assert "OPS-11" in str(action)
