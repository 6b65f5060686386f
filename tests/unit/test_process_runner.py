"""Tasks in processes: which can be killed, timed out and ended, and what may not go to them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import ProcessRunner, flow, task
from orchestrator.errors import CrashedRun, InvalidInput, TimedOut
from orchestrator.task_runners import process_runner

from ..agents import gone
from ..polling import until
from . import runner_tasks as do

Reports = Callable[..., list[dict[str, Any]]]


def ends(items: list[dict[str, Any]]) -> dict[str, str]:
    return {item["name"]: item["state"]["name"] for item in items}


def test_processes_are_used_again_and_are_not_ours() -> None:
    @flow(task_runner=ProcessRunner(1))
    def work() -> list[int]:
        return [do.whereabouts.submit().result() for _ in range(3)]

    found = work()
    assert len({*found}) == 1
    assert found[0] != os.getpid()
    until(lambda: gone(found[0]), "the process to be gone")


@pytest.mark.parametrize("most", [0, True])
def test_a_number_that_cannot_be_is_refused(most: int) -> None:
    with pytest.raises(InvalidInput, match="max_workers"):
        ProcessRunner(most)


def test_time_outs_are_enforced(monkeypatch: pytest.MonkeyPatch, reports: Reports) -> None:
    monkeypatch.setattr(process_runner, "SLACK", 0.2)

    @flow(task_runner=ProcessRunner(2))
    def work() -> int:
        for future in (do.too_long.submit(), do.too_long_and_deaf.submit()):
            with pytest.raises(TimedOut, match=r"took longer than 0\.2 s"):
                future.result()
        return do.add.submit(1, 1).result()

    assert work() == 2
    assert ends(reports("task-run")) == {
        "too-long-0": "TimedOut",
        "too-long-and-deaf-0": "TimedOut",
        "add-0": "Completed",
    }


@pytest.mark.parametrize(
    ("how", "told", "details"),
    [
        ("killed", "ended by SIGKILL: killed from outside, or out of memory", {"signal": "SIGKILL"}),
        ("left", "exited with code 7 before the task ended", {"exit_code": 7}),
        ("told", r"told to end \(SIGTERM\)", {"signal": "SIGTERM"}),
    ],
)
def test_a_task_whose_process_dies_crashed_and_the_flow_goes_on(how: str, told: str, details: dict[str, Any]) -> None:
    @flow(task_runner=ProcessRunner(1))
    def work() -> int:
        future = do.die.submit(how)
        with pytest.raises(CrashedRun, match=told):
            future.result()
        assert future.state is not None
        assert future.state.details == details
        return do.add.submit(1, 1).result()

    assert work() == 2


def test_what_began_in_a_process_that_dies_crashed_too(reports: Reports) -> None:
    @flow(task_runner=ProcessRunner(1))
    def work() -> None:
        do.die_inside.submit().wait()

    work(return_state=True)
    assert ends(reports("task-run")) == {"die-inside-0": "Crashed", "dying-0": "Crashed"}


def test_what_cannot_be_sent_fails_the_task_and_says_why() -> None:
    @flow(task_runner=ProcessRunner(1))
    def work() -> None:
        with pytest.raises(InvalidInput, match="arguments of add-0 cannot be sent to another process"):
            do.add.submit(lambda: 1).result()  # type: ignore[call-overload]
        with pytest.raises(InvalidInput, match="result of returns-a-lock-0, a lock, cannot be sent"):
            do.returns_a_lock.submit().result()
        state = do.fail_oddly.submit().wait()
        assert state is not None
        assert state.message == "OddError: odd (7)"

    assert work() is None


def test_an_exception_shows_where_it_was_raised() -> None:
    @flow(task_runner=ProcessRunner(1))
    def work() -> None:
        do.fail.submit().result()

    with pytest.raises(ValueError, match="on purpose") as raised:
        work()
    assert "raise ValueError(what)" in str(raised.value.__cause__)


def test_functions_that_no_other_process_finds_are_refused_at_once() -> None:
    @task
    def local() -> None:
        pass

    @flow(task_runner=ProcessRunner(1))
    def work() -> None:
        for one in (local, task(name="short")(lambda: None)):
            with pytest.raises(InvalidInput, match=r"cannot run in another process.*top of a module"):
                one.submit()

    assert work() is None


def test_an_interrupted_flow_ends_its_processes(reports: Reports, tmp_path: Path) -> None:
    folder = tmp_path / "pids"
    folder.mkdir()

    @flow(task_runner=ProcessRunner(2))
    def work() -> None:
        do.hang.map([str(folder)] * 3)
        until(lambda: len(os.listdir(folder)) == 2, "two tasks to hang")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [pid for pid in map(int, os.listdir(folder)) if not gone(pid)] == []
    assert set(ends(reports("task-run")).values()) == {"Cancelled"}
    assert len([item for item in reports("task-run") if item["state"]["type"] == "CANCELLED"]) == 3


SCRIPT = """
import logging, sys
from dataclasses import dataclass
from orchestrator import ProcessRunner, flow, task

@dataclass
class Pair:
    left: int
    right: int

@task
def swap(pair: Pair) -> Pair:
    return Pair(pair.right, pair.left)

@flow(task_runner=ProcessRunner(1))
def work(pair: Pair) -> Pair:
    return swap.submit(pair).result()
"""


def test_a_script_has_its_own_tasks_and_classes_there(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(SCRIPT + "\nif __name__ == '__main__':\n    print(work(Pair(1, 2)))\n")
    done = subprocess.run([sys.executable, "work.py"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Pair(left=2, right=1)\n"


def test_a_script_that_calls_its_flow_when_it_is_loaded_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(SCRIPT + "\nprint(work(Pair(1, 2)))\n")
    done = subprocess.run([sys.executable, "work.py"], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert 'below `if __name__ == "__main__":`' in done.stderr


def test_a_console_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT + "\nwork(Pair(1, 2))\n"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert "was written in a console; put it in a file" in done.stderr


def test_processes_end_with_a_flow_process_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "from orchestrator import ProcessRunner, flow\nfrom tests.unit.runner_tasks import hang\n"
        "@flow(task_runner=ProcessRunner(1))\ndef work():\n    hang.submit('.').wait()\n"
        "if __name__ == '__main__':\n    work()\n"
    )
    folder = tmp_path / "pids"
    folder.mkdir()
    tree = str(Path(__file__).resolve().parents[2])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([tree, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen([sys.executable, str(tmp_path / "work.py")], cwd=folder, env=env)
    try:
        until(lambda: os.listdir(folder), "the task to hang")
        pid = int(os.listdir(folder)[0])
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    until(lambda: gone(pid), "the task's process to be gone")
