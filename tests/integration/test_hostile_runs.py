"""The same on an agent, with a real server: each run ends as its code did, and every other run goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.agents import System, system

FLOWS = """
import multiprocessing, os, signal, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from orchestrator import flow, get_run_logger, task

class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

@task
def step(number):
    return number

def work(number):
    get_run_logger().info("worker %d", number)
    return number * number

@flow
def raises_oddly():
    raise TwoArguments("nul \\0 and surrogate \\udcff", "\U0001f6eb")

@flow(flow_run_name="x" * 5000)
def takes_much(text: str):
    named = step.with_options(task_run_name="n\\0" + "ü" * 5000, tags=["t\\0"])
    get_run_logger().info("a \\0 and a \\udcff")
    print("printed \\0 \\udcff \U0001f6eb")
    return [len(text), named(len(text))]

@flow
def streams(most: int):
    for number in range(most):
        yield step(number)

@flow
async def streams_async(most: int):
    for number in range(most):
        yield number

@flow
def forks():
    child = os.fork()
    if child:
        os.waitpid(child, 0)
    else:
        get_run_logger().info("from the child")
        print("printed by the child")
    step(1)
    return "child" if not child else "parent"

@flow
def pools():
    found = []
    for method in ("fork", "spawn"):
        with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as pool:
            found.append(list(pool.map(work if method == "fork" else abs, range(4))))
    return found

@flow
def leaves(code: int):
    sys.exit(code)

@flow
def leaves_at_once():
    step(1)
    os._exit(7)

@flow
def recurses():
    return recurses.fn()

@flow(timeout_seconds=30)
def takes_signals():
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.alarm(1)
    return "fine"

@flow
def stops_time():
    time.sleep = time.monotonic = time.time = lambda *_: 0.0
    get_run_logger().info("at no time")
    return step.submit(1).result()

@flow
def leaves_a_thread():
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
    return "fine"
"""

#: Flow, its parameters, the type of its end, its result.
RUNS: list[tuple[str, dict[str, Any], str, Any]] = [
    ("raises_oddly", {}, "FAILED", None),
    ("takes_much", {"text": "x\u00fc" * 50_000}, "COMPLETED", [100_000, 100_000]),
    ("streams", {"most": 3}, "COMPLETED", [0, 1, 2]),
    ("streams_async", {"most": 2}, "COMPLETED", [0, 1]),
    ("forks", {}, "COMPLETED", "parent"),
    ("pools", {}, "COMPLETED", [[0, 1, 4, 9], [0, 1, 2, 3]]),
    ("leaves", {"code": 3}, "FAILED", None),
    ("leaves", {"code": 0}, "COMPLETED", None),
    ("leaves_at_once", {}, "CRASHED", None),
    ("recurses", {}, "FAILED", None),
    ("takes_signals", {}, "COMPLETED", "fine"),
    ("stops_time", {}, "COMPLETED", 1),
    ("leaves_a_thread", {}, "COMPLETED", "fine"),
]


def test_hostile_flows_on_one_agent(tmp_path: Path, database_url: str, redis_url: str) -> None:
    with system(tmp_path, database_url, redis_url) as served:
        (served.project / "flows.py").write_text(FLOWS)
        deployments = {name: served.deploy(name) for name, *_ in RUNS}
        begun = [served.run(deployments[name], **given) for name, given, *_ in RUNS]
        with served.agent():
            ended = [served.end_of(run, 120) for run in begun]
            seen = [(run["state"]["type"], (run["result"] or {}).get("value")) for run in ended]
            assert seen == [(kind, result) for *_, kind, result in RUNS], [run["state"] for run in ended]
            check(served, {name: run for (name, *_), run in zip(RUNS, ended, strict=True)})


def check(served: System, runs: dict[str, dict[str, Any]]) -> None:
    assert "TwoArguments: nul" in runs["raises_oddly"]["state"]["message"]
    assert "code 7" in runs["leaves_at_once"]["state"]["message"]
    assert "RecursionError" in runs["recurses"]["state"]["message"]
    for run in runs.values():
        tasks = served.client.get("task-runs", {"flow_run_id": run["id"]})["items"]
        assert {task["state"]["type"] for task in tasks} <= {"COMPLETED"}
    (named,) = served.client.get("task-runs", {"flow_run_id": runs["takes_much"]["id"]})["items"]
    assert named["name"].endswith("ü...")
    assert len(served.client.get("task-runs", {"flow_run_id": runs["forks"]["id"]})["items"]) == 1
    lines = served.lines(runs["forks"]["id"])
    assert any("from the child" in line for line in lines)
    assert "printed by the child" in lines
    assert sum("worker" in line for line in served.lines(runs["pools"]["id"])) == 4
    assert any(line.startswith("printed ") for line in served.lines(runs["takes_much"]["id"]))
    assert "at no time" in served.lines(runs["stops_time"]["id"])
    history = served.client.get(f"flow-runs/{runs['forks']['id']}/states")["items"]
    assert [state["type"] for state in history].count("COMPLETED") == 1
