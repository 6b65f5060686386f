"""Runs of the Process block: interpreters, what projects require, limits; on a real agent."""

from __future__ import annotations

import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blocks.process import Process
from tests.agents import System, read_pids, system
from tests.polling import until
from tests.wheels import write_wheel

FLOWS = """
import os, subprocess, sys, time
from pathlib import Path
from orchestrator import flow

@flow
def tells(module: str = "") -> list:
    value = __import__(module).VALUE if module else None
    program = "import orchestrator; print('found')"
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    print("on", sys.executable)
    return [sys.prefix, value, child.stdout.strip(), os.getcwd()]

@flow
def hoards():
    kept = []
    for _ in range(4096):
        kept.append(bytearray(1 << 20))

@flow
def burns():
    while True:
        pass

@flow
def is_held(pid: str):
    Path(pid).write_text(str(os.getpid()))
    while True:
        time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def served(module_database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("process-block")
    with system(folder, module_database_url, redis_url, ORCHESTRATOR_STOP_GRACE="2s") as found:
        (found.project / "flows.py").write_text(FLOWS)
        found.client.post("block-types", Process.type_facts())
        with found.agent("--limit", "2"):
            yield found


def start(served: System, flow: str, overrides: dict[str, Any], project: Path | None = None, **parameters: Any) -> str:
    document = {
        "flow": flow,
        "name": "test",
        "entrypoint": f"flows.py:{flow}",
        "storage": {"path": str(project or served.project)},
        "infrastructure": {"overrides": overrides},
        "work_queue": served.queue,
    }
    return served.run(served.client.post("deployments", document)["deployment"]["id"], **parameters)


def state_of(served: System, run: str) -> tuple[str, str]:
    state = served.end_of(run, 60)["state"]
    return state["type"], state["message"] or str(served.lines(run))


def project_with(folder: Path, **files: str) -> Path:
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    for name, content in files.items():
        (folder / name.replace("_", ".")).write_text(content)
    return folder


def test_what_the_project_requires_is_installed_once(served: System, tmp_path: Path) -> None:
    write_wheel(tmp_path / "wheels", "tinyfact", "1.0", "VALUE = 'one'\n")
    write_wheel(tmp_path / "wheels", "tinyfact", "2.0", "VALUE = 'two'\n")
    lines = f"--no-index\n--find-links {tmp_path / 'wheels'}\n"
    project = project_with(tmp_path / "project", requirements_txt=lines + "tinyfact<2\n")
    prefixes = []
    for _ in range(2):
        run = start(served, "tells", {"requirements": "auto"}, project, module="tinyfact")
        assert state_of(served, run)[0] == "COMPLETED", (state_of(served, run), served.lines(run))
        prefix, value, child, _ = served.client.get(f"flow-runs/{run}")["result"]["value"]
        prefixes.append(prefix)
        assert (value, child) == ("one", "found")
    installed = [line for line in served.lines(run) if line.startswith("installing")]
    assert installed == [], "the second run finds the environment"
    assert prefixes[0] == prefixes[1]
    assert Path(prefixes[0]).parent == served.folder / "agent-home" / "cache" / "environments"
    (project / "requirements.txt").write_text(lines + "tinyfact==2.0\n")
    run = start(served, "tells", {"requirements": "auto"}, project, module="tinyfact")
    assert state_of(served, run)[0] == "COMPLETED"
    changed = served.client.get(f"flow-runs/{run}")["result"]["value"]
    assert changed[1] == "two"
    assert changed[0] != prefixes[0]


def test_what_cannot_be_installed_crashes_with_the_installers_words(served: System, tmp_path: Path) -> None:
    project = project_with(tmp_path / "project", requirements_txt="--no-index\nno-such-package-anywhere\n")
    run = start(served, "tells", {"requirements": "auto"}, project)
    kind, message = state_of(served, run)
    assert kind == "CRASHED"
    assert "pip" in message
    until(lambda: any("no-such-package-anywhere" in line for line in served.lines(run)), "pip's own words")


def test_a_virtual_environment_is_used_as_it_is(served: System, tmp_path: Path) -> None:
    place = tmp_path / "venv"
    venv.create(place, symlinks=True)
    (site,) = place.glob("lib/python*/site-packages")
    (site / "houserule.py").write_text("VALUE = 'of the house'\n")
    run = start(served, "tells", {"python": str(place)}, module="houserule")
    assert state_of(served, run)[0] == "COMPLETED", (state_of(served, run), served.lines(run))
    prefix, value, _, folder = served.client.get(f"flow-runs/{run}")["result"]["value"]
    assert (prefix, value) == (str(place), "of the house")
    assert folder == str(served.project)
    assert f"on {place}/bin/python" in until(lambda: served.lines(run))
    assert [*site.glob("*.pth")] == [], "the user's environment is left as it is"


def test_an_interpreter_that_is_not_there_is_named(served: System) -> None:
    kind, message = state_of(served, start(served, "tells", {"python": "/no/such/python"}))
    assert kind == "CRASHED"
    assert "/no/such/python" in message


def test_a_run_in_its_own_interpreter_is_cancelled(served: System, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    run = start(served, "is_held", {"python": sys.executable}, pid=str(pid))
    read_pids(pid)
    served.client.post(f"flow-runs/{run}/cancel")
    assert state_of(served, run) == ("CANCELLED", "cancelled")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux, where memory written to is limited")
def test_memory_is_limited(served: System) -> None:
    kind, message = state_of(served, start(served, "hoards", {"memory_mb": 300}))
    assert kind == "FAILED"
    assert "MemoryError" in message


def test_processor_time_is_limited(served: System) -> None:
    kind, message = state_of(served, start(served, "burns", {"cpu_seconds": 1}))
    assert kind == "CRASHED"
    assert "cpu_seconds" in message
