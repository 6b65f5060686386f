"""Deployments follow one another on a running server: by a trigger, and as the steps of a chain."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from ..polling import until
from ..projects import write_flow
from ..stack import Stack

BODY = """(source: str = "nothing") -> str:
    return f"from {source}"
"""


def deploy(stack: Stack, project: Path, queue: str, *names: str) -> None:
    """Deployments of one flow, which all run on one queue."""
    for name in names:
        built = stack.cli(
            "deployment", "build", "./", "-n", name, "-q", queue, "-o", f"{name}.yaml", "--apply", cwd=project
        )
        assert built.returncode == 0, built.stderr


def runs_of(stack: Stack, name: str) -> list[dict[str, Any]]:
    found = stack.client.get(f"deployments/job/{name}")
    return list(stack.client.pages("flow-runs", {"deployment_id": found["id"]}))


def test_a_trigger_made_over_rest_chains_two_deployments(stack: Stack, tmp_path: Path) -> None:
    queue = f"chained-{uuid.uuid4().hex[:6]}"
    first, second = f"{queue}-a", f"{queue}-b"
    deploy(stack, write_flow(tmp_path / "project", BODY), queue, first, second)
    deployment = stack.client.get(f"deployments/job/{first}")["id"]
    trigger = {
        "name": queue,
        "when": {
            "expect": "flow-run.completed",
            "match_related": {"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{deployment}"},
        },
        "then": [
            {"do": "run-deployment", "deployment": f"job/{second}", "parameters": {"source": "{{ flow_run.id }}"}}
        ],
    }
    stack.client.post("triggers", trigger)
    with stack.agent(queue):
        run = stack.client.post(f"deployments/job/{first}/runs", {})
        [follows] = until(lambda: runs_of(stack, second), "the second deployment to run", 60)
        ended = stack.wait_for_run(follows["id"])
    assert ended["state"]["type"] == "COMPLETED"
    assert ended["parameters"]["source"] == run["id"]


def test_a_chain_with_a_join_runs_to_its_end(stack: Stack, tmp_path: Path) -> None:
    queue = f"join-{uuid.uuid4().hex[:6]}"
    project = write_flow(tmp_path / "project", BODY)
    deploy(stack, project, queue, queue)
    text = f"""
name: {queue}
steps:
  left: {{deployment: job/{queue}, parameters: {{source: the left}}}}
  right: {{deployment: job/{queue}}}
  both:
    deployment: job/{queue}
    after: [left, right]
    parameters: {{source: "{{{{ steps.left.parameters.source }}}}"}}
"""
    (project / "chain.yaml").write_text(text)
    [applied] = stack.json("chain", "apply", "chain.yaml", cwd=project)
    assert applied["change"] == "created"
    with stack.agent(queue):
        made = stack.json("chain", "run", queue)

        def ended() -> dict[str, Any] | None:
            run: dict[str, Any] = stack.json("chain", "runs", queue, made["id"])
            return run if run["status"] != "running" else None

        run = until(ended, "the chain to end", 90)
    assert {step["name"]: step["status"] for step in run["steps"]} == {"left": "done", "right": "done", "both": "done"}
    steps = {step["name"]: step for step in run["steps"]}
    assert steps["both"]["started"] >= max(steps["left"]["ended"], steps["right"]["ended"])
    flow_run = stack.client.get(f"flow-runs/{steps['both']['flow_run']['id']}")
    assert flow_run["parameters"]["source"] == "the left"
