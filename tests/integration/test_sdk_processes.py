"""Flows in processes of their own: started by hand, killed, told to end, with the API away or late."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli import main
from orchestrator.reporting import spool

from ..polling import free_port
from ..unit.reports_server import ReportsServer

FLOW = """
import os, sys, time
from orchestrator import flow, get_run_logger, task

@task
def step(number):
    return number

@flow
def work(count=1000):
    for number in range(count):
        step(number)
        if number % 10 == 0:
            get_run_logger().info("line %d", number)
    return count
"""


@pytest.fixture
def start(tmp_path: Path, own_home: Path) -> Callable[..., subprocess.Popen[str]]:
    def begin(code: str, url: str = "") -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(FLOW + textwrap.dedent(code))
        environment = {**os.environ, "ORCHESTRATOR_API_URL": url, "PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(
            [sys.executable, str(script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )

    return begin


def heed_interrupts() -> None:
    """Where the tests run in the background of a shell, their children would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def check_complete(items: list[dict[str, Any]], count: int) -> None:
    assert [item["kind"] for item in items[:1] + items[-1:]] == ["flow-run", "flow-run-state"]
    tasks = [item for item in items if item["kind"] == "task-run"]
    assert [item["name"] for item in tasks[1::2]] == [f"step-{number}" for number in range(count)]
    lines = [item["message"] for item in items if item["kind"] == "log"]
    assert lines == [f"line {number}" for number in range(0, count, 10)]


def test_pain_62_untracked_runs_say_so_and_start_nothing(start: Callable[..., Any], own_home: Path) -> None:
    code, out, err = ended(start("print(work(3))"))
    assert (code, out) == (0, "3\n")
    assert err.splitlines()[0].endswith("so this run is not tracked")
    assert len([line for line in err.splitlines() if "not tracked" in line]) == 1
    assert not own_home.exists()


def test_a_process_that_ends_right_after_its_flow_has_reported_all(start: Callable[..., Any]) -> None:
    with ReportsServer() as server:
        code, _, err = ended(start("work(1000)", server.url))
        assert code == 0, err
        check_complete(server.items, 1000)


def test_an_api_that_is_away_stops_nothing_and_gets_all_later(
    start: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    code, out, err = ended(start("print(work(500))", url))
    assert (code, out) == (0, "500\n")
    assert len([line for line in err.splitlines() if "the run goes on" in line]) == 1
    monkeypatch.setenv("ORCHESTRATOR_API_URL", url)
    monkeypatch.setattr(sys, "argv", ["orchestrator", "report", "ls"])
    with pytest.raises(SystemExit) as listed:
        main()
    assert listed.value.code in {0, None}
    assert url in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["orchestrator", "report", "flush"])
    with pytest.raises(SystemExit) as refused:
        main()
    assert refused.value.code == 1
    with ReportsServer(port) as server:
        with pytest.raises(SystemExit) as flushed:
            main()
        assert flushed.value.code in {0, None}
        check_complete(server.items, 500)
    assert "reports delivered" in capsys.readouterr().err
    assert spool.kept(Path(os.environ["ORCHESTRATOR_HOME"]) / "spool") == []


def test_killed_while_the_api_was_away_the_next_process_delivers(start: Callable[..., Any], own_home: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    first = start("from orchestrator import reporting, settings\n"
                  "work(300)\n"
                  "assert not reporting.process_reporter(settings.load()).flush(30)\n"
                  "print('kept', flush=True)\ntime.sleep(600)", url)  # fmt: skip
    assert first.stdout.readline() == "kept\n"
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    with ReportsServer(port) as server:
        # Not too often: a look takes the locks of what it looks at.
        wait = "while spool.kept(settings.load().path('spool')): time.sleep(1)"
        code, _, err = ended(
            start(f"from orchestrator import settings\nfrom orchestrator.reporting import spool\nwork(1)\n{wait}", url)
        )
        assert code == 0, err
        old = [item for item in server.items if item.get("name") != "step-0"]
        assert len([item for item in server.items if item["kind"] == "flow-run"]) == 2
        assert len([item for item in old if item["kind"] == "task-run"]) == 2 * 299


def test_told_to_end_a_run_by_hand_is_crashed_and_says_so(start: Callable[..., Any]) -> None:
    with ReportsServer() as server:
        process = start("""
            @flow
            def long():
                print("going", flush=True)
                while True:  # a signal just before a sleep is noticed after it
                    time.sleep(0.1)
            long()
        """, server.url)  # fmt: skip
        assert process.stdout.readline() == "going\n"
        process.terminate()
        code, _, _ = ended(process)
        assert code == 128 + signal.SIGTERM
        assert server.items[-1]["state"]["type"] == "CRASHED"
        assert "SIGTERM" in server.items[-1]["state"]["message"]


def test_an_interrupted_run_is_cancelled(start: Callable[..., Any]) -> None:
    with ReportsServer() as server:
        process = start("""
            @flow
            def long():
                print("going", flush=True)
                while True:  # a signal just before a sleep is noticed after it
                    time.sleep(0.1)
            long()
        """, server.url)  # fmt: skip
        assert process.stdout.readline() == "going\n"
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
        assert code != 0
        assert "KeyboardInterrupt" in err
        assert server.items[-1]["state"]["type"] == "CANCELLED"


def test_an_api_that_hangs_holds_up_the_end_only_for_a_while(start: Callable[..., Any], own_home: Path) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen(8)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        code, out, _ = ended(start("print(work(10))", url))
        assert (code, out) == (0, "10\n")
    (kept,) = spool.kept(own_home / "spool")
    assert kept.api_url == url
    assert kept.size > 0


def test_pain_51_importing_loads_nothing_heavy() -> None:
    heavy = ["flask", "sqlalchemy", "celery", "marshmallow", "pydantic", "urllib3", "redis", "click"]
    light = f"import sys, orchestrator; print([name for name in {heavy} if name in sys.modules])"
    sdk = "import sys, orchestrator; [getattr(orchestrator, name) for name in orchestrator.__all__]"
    servers = ["flask", "sqlalchemy", "celery", "marshmallow", "redis"]
    sdk += f"; print([name for name in {servers} if name in sys.modules])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for code in (light, sdk):
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
        assert (done.stdout, done.stderr) == ("[]\n", "")


def test_processes_that_a_flow_makes_speak_for_the_same_run(start: Callable[..., Any]) -> None:
    """Forked, by ``multiprocessing``, ended without a farewell: each line arrives once, each process's in order."""
    code = """
    import multiprocessing

    def child(name):
        for number in range(300):
            get_run_logger().info("%s %d", name, number)

    @flow
    def makes():
        child("parent")
        pid = os.fork()
        if not pid:
            child("forked")
            os._exit(0)
        made = multiprocessing.get_context("fork").Process(target=child, args=("made",))
        made.start()
        made.join()
        os.waitpid(pid, 0)
        child("again")

    makes()
    """
    with ReportsServer() as server:
        done, _, err = ended(start(code, server.url))
        assert done == 0, err
        (run,) = [item for item in server.items if item["kind"] == "flow-run"]
        lines = [item for item in server.items if item["kind"] == "log"]
        assert {line["flow_run_id"] for line in lines} == {run["id"]}
        for name in ("parent", "forked", "made", "again"):
            said = [line["message"] for line in lines if line["message"].startswith(name)]
            assert said == [f"{name} {number}" for number in range(300)]
        assert [item["state"]["type"] for item in server.items if item["kind"] == "flow-run-state"] == ["COMPLETED"]
