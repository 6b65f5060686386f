"""Rules that follow from one another: two deployments one after the other, and a rule that sets itself off."""

from __future__ import annotations

from pathlib import Path

from ..polling import until
from ..stack import Stack
from ..stories import deploy, emit, events_of, new_name, start

BODY = """(rows: int = 3) -> int:
    return rows
"""


def test_a_rule_that_sets_itself_off_is_stopped(stack: Stack) -> None:
    name = new_name("echo")
    resource = f"acceptance/{name}"
    document = {
        "name": name,
        "when": {"expect": "echo.heard", "match": {"resource.id": resource}},
        "then": [{"do": "emit-event", "event": "echo.heard", "resource": {"resource.id": resource}}],
    }
    trigger = stack.client.post("triggers", document)
    emit(stack, "echo.heard", resource)
    [stopped] = until(lambda: events_of(stack, "trigger.stopped", f"orchestrator.trigger.{trigger['id']}"), "it", 90)
    firings = [*stack.client.pages("firings", {"trigger_id": trigger["id"]})]
    assert [firing["state"] for firing in firings].count("suppressed") == 1
    assert sorted(firing["depth"] for firing in firings) == [*range(11)]
    assert len(events_of(stack, "echo.heard", resource)) == 11
    assert len({firing["chain_id"] for firing in firings}) == 1
    assert {one["resource.role"] for one in stopped["related"]} >= {"chain"}
    stack.client.delete(f"triggers/{trigger['id']}")


def test_a_rule_that_sets_itself_off_by_runs_is_stopped(stack: Stack, tmp_path: Path) -> None:
    name = new_name("circle")
    deployment = deploy(stack, tmp_path, name, BODY)
    document = {
        "name": name,
        "when": {
            "expect": "flow-run.completed",
            "match_related": {"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{deployment}"},
        },
        "then": [{"do": "run-deployment", "deployment": f"job/{name}"}],
    }
    trigger = stack.client.post("triggers", document)
    with stack.agent(name):
        start(stack, name)
        until(lambda: events_of(stack, "trigger.stopped", f"orchestrator.trigger.{trigger['id']}"), "it", 120)
    runs = [*stack.client.pages("flow-runs", {"deployment_id": deployment})]
    assert {run["state"]["type"] for run in runs} == {"COMPLETED"}
    assert len(runs) == 11
    stack.client.delete(f"triggers/{trigger['id']}")


def test_a_trigger_chains_two_deployments(stack: Stack, tmp_path: Path) -> None:
    first, second = new_name("first"), new_name("second")
    deploy(stack, tmp_path / "first", first, BODY)
    deployment = deploy(stack, tmp_path / "second", second, BODY)
    upstream = stack.client.get(f"deployments/job/{first}")["id"]
    document = {
        "name": first,
        "when": {
            "expect": "flow-run.completed",
            "match_related": {"resource.role": "deployment", "resource.id": f"orchestrator.deployment.{upstream}"},
        },
        "then": [
            {
                "do": "run-deployment",
                "deployment": f"job/{second}",
                "parameters": {"rows": "{{ flow_run.parameters.rows }}"},
            }
        ],
    }
    stack.client.post("triggers", document)
    with stack.agent(first, second):
        cause = start(stack, first, rows=7)
        run = until(lambda: [*stack.client.pages("flow-runs", {"deployment_id": deployment})], "the second run", 90)[0]
        ended = stack.wait_for_run(run["id"])
    assert (ended["state"]["type"], ended["parameters"]) == ("COMPLETED", {"rows": 7})
    [firing] = [item for item in stack.client.pages("firings") if item["trigger"] and item["trigger"]["name"] == first]
    [event] = [item for item in events_of(stack, "flow-run.completed") if item["id"] == firing["event_id"]]
    assert event["resource"]["resource.id"] == f"orchestrator.flow-run.{cause}"
