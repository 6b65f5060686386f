"""Parts that are forked from a warm process, by a program that does as the supervisor does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from ...polling import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every part gets its own interpreter")

#: Commands come by lines of JSON and are answered by such lines; it tells that it is there by its template's pid.
PROGRAM = """
import json, os, sys, threading
from pathlib import Path
from orchestrator.embedded import template
from orchestrator.errors import Conflict

def add(numbers):
    if not numbers:
        raise Conflict("there is nothing to add")
    if numbers == [0]:
        os._exit(3)
    return sum(numbers)

template_process = template.begin(["decimal"], {"add": add})
threading.Thread(target=threading.Event().wait, daemon=True).start()  # a fork from now on would be refused
parts = {}
print(template_process.pid, flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    try:
        if asked["op"] == "start":
            with open(asked["log"], "ab") as log:
                part = template_process.start(
                    "probe", asked["entry"], asked["words"], cwd=Path(asked["cwd"]), env=asked["env"], log=log
                )
            parts[part.pid] = part
            answer = part.pid
        elif asked["op"] == "wait":
            answer = parts[asked["pid"]].wait(20)
        elif asked["op"] == "poll":
            answer = parts[asked["pid"]].poll()
        else:
            answer = template_process.call("add", asked["numbers"])
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
"""
#: What the parts do, as a module that they find by their entry.
PROBE = """
import json, os, sys, time

def tell():
    known = {name: value for name, value in os.environ.items() if name != "LC_CTYPE"}
    print(json.dumps({"argv": sys.argv, "cwd": os.getcwd(), "env": known, "group": os.getpgrp(), "pid": os.getpid(),
        "warm": "decimal" in sys.modules, "first": open("/proc/self/environ").read()}))
    print("and this is an error", file=sys.stderr)
    return 7

def leave():
    sys.exit("it cannot go on")

def fail():
    raise LookupError("nothing there")

def stay():
    print("staying", flush=True)
    time.sleep(1000)
"""


class Program:
    """The program, and what it is told to do."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.process, self.log = folder, process, folder / "part.log"
        self.template = int(self._line())

    def ask(self, op: str, **facts: Any) -> Any:
        """One command; its answer."""
        stdin: IO[str] | None = self.process.stdin
        assert stdin is not None
        stdin.write(json.dumps({"op": op, **facts}) + "\n")
        stdin.flush()
        return json.loads(self._line())

    def start(self, entry: str, **env: str) -> Any:
        """Start a part of the probe's; its pid."""
        return self.ask(
            "start", entry=f"probe:{entry}", words=["one", "two"], cwd=str(self.folder), env=env, log=str(self.log)
        )

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the program ended"
        return line


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    with running(tmp_path_factory.mktemp("program")) as found:
        yield found


@pytest.fixture
def program(shared: Program, tmp_path: Path) -> Program:
    """One that the tests share, with a log of this test's own."""
    shared.log = tmp_path / "part.log"
    return shared


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Program]:
    """One that does not outlive the test."""
    with running(tmp_path) as found:
        yield found


@contextmanager
def running(folder: Path) -> Iterator[Program]:
    (folder / "probe.py").write_text(PROBE)
    (folder / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "THE_SECRET": "of the supervisor"}
    process = subprocess.Popen(
        [sys.executable, str(folder / "program.py")],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield Program(folder, process)
    finally:
        process.kill()
        process.communicate()


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_part_is_a_process_of_its_own_that_has_what_is_loaded(program: Program) -> None:
    pid = program.start("tell", ONLY="this")
    assert program.ask("wait", pid=pid) == 7
    assert program.ask("poll", pid=pid) == 7, "it is remembered"
    facts, error = program.log.read_text().splitlines()
    told = json.loads(facts)
    assert told["warm"]
    assert (told["pid"], told["group"]) == (pid, pid)
    assert told["argv"] == ["probe", "one", "two"]
    assert told["cwd"] == str(program.folder)
    assert told["env"] == {"ONLY": "this"}
    assert "THE_SECRET" not in told["first"], "nor does /proc show the supervisor's environment"
    assert error == "and this is an error"


def test_parts_that_end_badly_say_why(program: Program) -> None:
    assert program.ask("wait", pid=program.start("leave")) == 1
    assert program.ask("wait", pid=program.start("fail")) == 1
    assert program.ask("wait", pid=program.start("missing")) == 1
    written = program.log.read_text()
    assert "it cannot go on\n" in written
    assert "LookupError: nothing there" in written
    assert "AttributeError" in written


def test_a_killed_part_tells_its_signal_and_others_go_on(program: Program) -> None:
    first, second = program.start("stay"), program.start("stay")
    assert program.ask("poll", pid=first) is None
    os.kill(first, signal.SIGKILL)
    assert program.ask("wait", pid=first) == -signal.SIGKILL
    assert program.ask("poll", pid=second) is None


def test_parts_are_listed_by_what_they_are(program: Program) -> None:
    pid = program.start("stay")
    until(lambda: "staying" in program.log.read_text(), "the part to be there")
    assert Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0") == b"orchestrator: probe one two"
    assert psutil.Process(pid).name() == "orc:probe one t"


def test_kill_9_of_who_made_the_template_leaves_nothing(own: Program) -> None:
    pids = [own.template, own.start("stay"), own.start("stay")]
    own.process.kill()
    own.process.wait(10)
    until(lambda: all(gone(pid) for pid in pids), "the template and the parts to be gone", 10)


def test_without_the_template_its_parts_are_gone_and_no_other_is_started(own: Program) -> None:
    pid = own.start("stay")
    os.kill(own.template, signal.SIGKILL)
    assert own.ask("wait", pid=pid) == -signal.SIGKILL
    assert gone(pid)
    assert own.start("stay") == "Gone: it has ended"


def test_a_call_gives_its_result_or_its_error(program: Program) -> None:
    assert program.ask("call", numbers=[1, 2]) == 3
    assert program.ask("call", numbers=[]) == "Conflict: there is nothing to add"
    assert program.ask("call", numbers=[0]) == "Gone: add did not come to an end"
    assert program.ask("call", numbers=[4]) == 4
