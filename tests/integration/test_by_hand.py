"""Debuggers, the interactive interpreter and notebooks: flows are functions there as anywhere."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import flow
from orchestrator.testing import recorded

DEBUGGED = """
from orchestrator import flow, task

@task
def double(number):
    result = number * 2
    return result

@task(retries=1)
def asks(number):
    inside = number + 1
    breakpoint()
    return inside

@flow
def debugged(number):
    here = "in the flow"
    breakpoint()
    twice = double(number)
    return asks(twice)

print("got", debugged(21))
"""


def run(words: list[str], typed: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONBREAKPOINT"}
    return subprocess.run(
        [sys.executable, *words], input=typed, env=environment, cwd=folder,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_pdb_steps_from_the_flow_into_the_task(tmp_path: Path) -> None:
    (tmp_path / "debugged.py").write_text(DEBUGGED)
    steps = ["p here", "break double", "continue", "p number", "next", "next", "p result", "where", "continue",
             "p inside", "up", "continue"]  # fmt: skip
    done = run(["debugged.py"], "\n".join(steps) + "\n", tmp_path)
    assert done.returncode == 0, done.stderr
    answers = done.stdout
    assert "'in the flow'" in answers
    assert "(Pdb) 21" in answers
    assert "(Pdb) 42" in answers, "the local variable of the task's body"
    assert "(Pdb) 43" in answers
    assert re.search(r"debugged\.py\(\d+\)debugged\(\)\n-> twice = double", answers), (
        "the flow is below it on the stack"
    )
    assert answers.rstrip().endswith("got 43")


def test_post_mortem_ends_where_the_task_raised(tmp_path: Path) -> None:
    (tmp_path / "fails.py").write_text(
        "from orchestrator import flow, task\n"
        "@task\ndef divides(by):\n    share = 'a local'\n    return 1 / by\n"
        "@flow\ndef fails():\n    return divides(0)\n"
        "fails()\n"
    )
    done = run(["-m", "pdb", "-c", "continue", "fails.py"], "p share\np by\nq\n", tmp_path)
    assert "'a local'" in done.stdout, done.stdout + done.stderr
    assert "ZeroDivisionError: division by zero" in done.stderr


TYPED = """\
from orchestrator import flow, task
@task
def fails(): return 1 / 0

@flow(log_prints=True)
def typed(number: int = 1): return fails() if number > 1 else number

typed()
typed(2)
typed.visualize().mermaid().count("fails")
typed.fn.__name__
"""


def test_what_is_typed_into_the_interpreter_has_no_file_and_works(tmp_path: Path) -> None:
    done = run(["-i", "-c", ""], TYPED, tmp_path)
    lines = done.stdout.splitlines()
    assert lines[0] == "1"
    assert lines[-1] == "'typed'"
    assert "ZeroDivisionError: division by zero" in done.stderr
    assert 'File "<stdin>"' in done.stderr


def cell(source: str, space: dict[str, Any], number: int) -> Any:
    """Run a cell as a notebook does: compiled on its own, with `await` at the top, in a loop that runs."""
    name = f"<ipython-input-{number}>"
    code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return eval(code, space)


async def notebook(cells: list[str]) -> dict[str, Any]:
    space: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(cells, 1):
        found = cell(source, space, number)
        if found is not None:
            await found
    return space


DEFINED = """
import asyncio
from orchestrator import flow, task
@task
def double(number): return 2 * number
@task
async def later(number):
    await asyncio.sleep(0)
    return number + 1
@flow
def sync(number): return double.submit(double(number)).result()
@flow
async def asynchronous(number):
    future = later.submit(number)
    return await future + await later(number) + sync(number)
"""


def test_a_notebook_awaits_flows_on_its_own_loop_and_calls_others_as_ever() -> None:
    with recorded() as seen:
        space = asyncio.run(
            notebook(
                [DEFINED, "a = await asynchronous(1)", "b = sync(2)", "c = sync(3, return_state=True)",
                 "d = asynchronous.visualize()", "e, f = await asyncio.gather(asynchronous(1), asynchronous(2))"]
            )
        )  # fmt: skip
    assert (space["a"], space["b"], space["c"].result(), space["e"], space["f"]) == (8, 8, 12, 8, 14)
    assert "later" in space["d"]._repr_mimebundle_()["image/svg+xml"]
    assert {run.state.name for run in seen.flow_runs} == {"Completed"}
    assert len([run for run in seen.flow_runs if run.parent_flow_run_id]) == 3


def test_a_cell_that_fails_shows_the_cell_and_may_be_mended() -> None:
    async def session() -> dict[str, Any]:
        space: dict[str, Any] = {"__name__": "__main__"}
        cell("from orchestrator import flow\n@flow\ndef load(rows): return 1 / rows", space, 1)
        with pytest.raises(ZeroDivisionError) as caught:
            cell("load(0)", space, 2)
        names = [entry.path for entry in caught.traceback]
        assert "<ipython-input-1>" in map(str, names)
        cell("@flow\ndef load(rows): return rows", space, 3)
        cell("result = load(0)", space, 4)
        return space

    with recorded() as seen:
        assert asyncio.run(session())["result"] == 0
    assert [run.state.name for run in seen.flow_runs] == ["Failed", "Completed"]
    assert "<ipython-input-1>" in (seen.flow_runs[0].state.details or {})["traceback"]


def test_the_bound_version_of_a_flow_without_source_is_empty() -> None:
    exec("def nameless(): return 1", space := dict[str, Any]())
    made = flow(space["nameless"])
    assert made() == 1
    assert isinstance(made.version, str)
