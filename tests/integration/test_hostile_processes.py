"""Flows that multiply or leave their process: what is reported is told once, by whom it belongs to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import orchestrator

from ..unit.reports_server import ReportsServer

HEAD = """
import faulthandler; faulthandler.enable()
import multiprocessing, os, sys, threading, time
from concurrent.futures import ProcessPoolExecutor
from orchestrator import flow, get_run_logger, task

@task
def step(number):
    get_run_logger().info("step %d", number)
    return number

def work(number):
    get_run_logger().info("worker %d", number)
    print("printed", number)
    return number * number
"""


@pytest.fixture
def server() -> Iterator[ReportsServer]:
    with ReportsServer() as found:
        yield found


@pytest.fixture
def ran(tmp_path: Path, server: ReportsServer, own_home: Path) -> Any:
    def run(code: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "script.py"
        script.write_text(HEAD + textwrap.dedent(code))
        # nothing of what other tests left behind: a user's shell has neither their modules nor their variables
        environment = {name: os.environ[name] for name in ("PATH", "HOME", "ORCHESTRATOR_HOME") if name in os.environ}
        environment.update(ORCHESTRATOR_API_URL=server.url, PYTHONPATH=str(Path(orchestrator.__file__).parents[1]))
        process = subprocess.Popen(
            [sys.executable, str(script)], env=environment, cwd=tmp_path, text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGABRT)  # its processes tell where they stand
            out, err = process.communicate()
            pytest.fail(f"it hangs:\n{out}\n{err}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return run


def told(server: ReportsServer, kind: str) -> list[tuple[str, str]]:
    return [(item.get("name", ""), item["state"]["name"]) for item in server.items if item["kind"] == kind]


def lines(server: ReportsServer) -> list[str]:
    return [item["message"] for item in server.items if item["kind"] == "log"]


def test_a_child_that_comes_out_of_the_flow_reports_nothing_of_it(ran: Any, server: ReportsServer) -> None:
    done = ran(
        """
        @task
        def forks():
            return os.fork()

        @flow
        def main():
            later = [step.submit(number) for number in range(3)]
            child = forks()
            if child:
                os.waitpid(child, 0)
            else:
                get_run_logger().info("from the child")
                step.submit(7).result()
                step(8)
            return [future.result() for future in later] if child else "child"

        print("out:", main())
        """
    )
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split("\n")) == ["", "out: [0, 1, 2]", "out: child"]
    assert [name for _, name in told(server, "flow-run")] == ["Running"]
    assert [name for _, name in told(server, "flow-run-state")] == ["Completed"]
    tasks = told(server, "task-run")
    assert tasks.count(("forks-0", "Completed")) == 1
    assert all(tasks.count((f"step-{number}", "Completed")) == 1 for number in range(3))
    # what the child began is its own to tell: it has the numbers that its parent did not know of
    assert len([one for one in tasks if one[1] == "Completed"]) == 6
    assert {"from the child", "step 7", "step 8"} <= set(lines(server))


def test_a_child_is_not_born_in_the_midst_of_the_imports_of_the_sender(ran: Any, server: ReportsServer) -> None:
    done = ran(
        """
        class SlowDisk:
            def find_spec(self, name, path, target=None):
                if name == "stringprep":
                    time.sleep(1)

        sys.meta_path.insert(0, SlowDisk())

        @flow
        def main():
            step.submit(0).result()
            time.sleep(0.3)  # the sender has something to send by now
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            else:
                step(1)
            return "done"

        assert "stringprep" not in sys.modules
        main()
        """
    )
    assert done.returncode == 0, done.stderr
    assert "reports wait" not in done.stderr
    assert [name for name, state in told(server, "task-run") if state == "Completed"] == ["step-0", "step-1"]


def test_forks_while_threads_write(ran: Any, server: ReportsServer) -> None:
    done = ran(
        """
        @task
        def chatters(number):
            while not over:
                get_run_logger().info("logged by %d", number)
                print("printed by", number)

        over = False

        @flow
        def main():
            global over
            later = [chatters.submit(number) for number in range(3)]
            for _ in range(60):
                time.sleep(0.001)
                child = os.fork()
                if not child:
                    get_run_logger().info("from the child")
                    print("printed by the child", flush=True)
                    os._exit(0)
                os.waitpid(child, 0)
            over = True
            return "done"

        main()
        """
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("from the child") == 60
    assert done.stdout.count("printed by the child") == 60


def test_a_child_that_leaves_at_once_or_is_killed_changes_nothing(ran: Any, server: ReportsServer) -> None:
    done = ran(
        """
        @flow
        def main():
            for end in (lambda: os._exit(3), lambda: os.kill(os.getpid(), 9), lambda: os.abort()):
                child = os.fork()
                if not child:
                    end()
                os.waitpid(child, 0)
                step(1)
            return "parent"

        print(main())
        """
    )
    assert (done.returncode, done.stdout) == (0, "parent\n"), done.stderr
    assert [name for _, name in told(server, "flow-run-state")] == ["Completed"]
    assert told(server, "task-run") == [(f"step-{n}", name) for n in range(3) for name in ("Running", "Completed")]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_processes_inside_a_flow(method: str, ran: Any, server: ReportsServer) -> None:
    done = ran(
        f"""
        @task
        def pooled():
            with multiprocessing.get_context("{method}").Pool(2) as pool:
                found = pool.map(work, range(4))
                pool.close()
                pool.join()
            return found

        @flow
        def main():
            step.submit(1)
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("{method}")) as pool:
                first = list(pool.map(work, range(4)))
            return first, pooled()

        if __name__ == "__main__":
            print("out:", main())
        """
    )
    assert done.returncode == 0, done.stderr
    assert "out: ([0, 1, 4, 9], [0, 1, 4, 9])" in done.stdout
    assert [name for _, name in told(server, "flow-run")] == ["Running"]
    assert [name for _, name in told(server, "flow-run-state")] == ["Completed"]
    assert sorted(name for _, name in told(server, "task-run")) == ["Completed"] * 2 + ["Pending"] + ["Running"] * 2
    if method == "fork":  # a spawned worker is another program: it has no run
        assert sorted(line for line in lines(server) if line.startswith("worker")) == sorted(
            f"worker {number}" for number in range(4) for _ in range(2)
        )


def test_tasks_of_a_pool_worker_belong_to_the_run(ran: Any, server: ReportsServer) -> None:
    done = ran(
        """
        def calls(number):
            return step(number) + step.submit(number).result()

        @flow
        def main():
            with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
                return list(pool.map(calls, range(3)))

        if __name__ == "__main__":
            print("out:", main())
        """
    )
    assert "out: [0, 2, 4]" in done.stdout, done.stderr
    (run,) = [item["id"] for item in server.items if item["kind"] == "flow-run"]
    tasks = [item for item in server.items if item["kind"] == "task-run" and item["state"]["name"] == "Completed"]
    assert [item["flow_run_id"] for item in tasks] == [run] * 6
    assert len({item["id"] for item in tasks}) == 6


def test_leaving_by_os_exit_keeps_what_was_sent_and_says_no_end(ran: Any, server: ReportsServer) -> None:
    """By hand nobody sees it: the run is Lost once it was silent for three leases."""
    done = ran(
        """
        from orchestrator import reporting, settings

        @flow
        def main():
            step(1)
            reporting.process_reporter(settings.load()).flush(20)
            os._exit(7)

        main()
        """
    )
    assert done.returncode == 7
    assert told(server, "task-run") == [("step-0", "Running"), ("step-0", "Completed")]
    assert told(server, "flow-run-state") == []


def test_a_daemon_thread_that_never_ends_holds_nothing_up(ran: Any, server: ReportsServer) -> None:
    done = ran(
        """
        @task
        def starts_a_thread():
            threading.Thread(target=lambda: time.sleep(3600), daemon=True).start()
            return 1

        @flow
        def main():
            return starts_a_thread()

        print(main())
        """
    )
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert [name for _, name in told(server, "flow-run-state")] == ["Completed"]
