"""Commands: what they get, what they give, and that all of a group ends."""

from __future__ import annotations

import logging
import os
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.blocks.shell import Shell
from orchestrator.errors import InvalidInput, JobFailed

from ...polling import until


def test_a_program_gets_its_arguments_as_they_are() -> None:
    program = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "a b", "$HOME;"]
    result = Shell(program=program).trigger(arguments=["*", 'q"']).result()
    assert result.output == "['a b', '$HOME;', '*', 'q\"']\n"
    assert (result.exit_code, result.errors) == (0, "")
    assert result.seconds > 0


def test_a_script_is_read_by_the_shell_with_arguments_beside_it() -> None:
    result = Shell(script='echo "$1" | tr a-z A-Z; echo $#').trigger(arguments=["x; echo no", "y"]).result()
    assert result.output == "X; ECHO NO\n2\n"


def test_environment_and_folder(tmp_path: Path) -> None:
    block = Shell(script="echo $A $B $C; pwd", env={"A": "a", "B": "b"}, working_dir=str(tmp_path))
    assert block.trigger(env={"B": "mine", "C": "c"}).result().output == f"a mine c\n{tmp_path.resolve()}\n"


def test_a_failure_has_its_code_and_last_line() -> None:
    run = Shell(script="echo out; echo first >&2; echo last >&2; exit 3").trigger()
    with pytest.raises(JobFailed, match=r"^sh failed with exit code 3: last$"):
        run.result()
    assert run.outcome().exit_code == 3
    assert run.outcome().errors == "first\nlast\n"
    with pytest.raises(JobFailed, match="SIGTERM"):
        Shell(script="kill -TERM $$").trigger().result()


def test_secrets_are_given_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    block = Shell(script="echo $KEY; echo bad $KEY >&2; exit 1", secret_env={"KEY": "canary-key"})
    assert "canary-key" not in repr(block)
    with caplog.at_level(logging.INFO):
        run = block.trigger()
        with pytest.raises(JobFailed) as caught:
            run.result()
    assert str(caught.value).endswith(": bad ********")
    assert run.outcome().output == "********\n"
    assert "canary-key" not in caplog.text


def test_lines_go_to_the_log_unless_told_otherwise(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        Shell(script="echo one; printf two").trigger().result()
        Shell(script="echo hidden", log_output=False).trigger().result()
    assert [record.message for record in caplog.records] == ["one", "two"]


def test_lines_are_logged_in_the_context_of_the_run() -> None:
    run: ContextVar[str] = ContextVar("run", default="none")
    seen: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(run.get())

    handler, log = Handler(), logging.getLogger("orchestrator.blocks.shell")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    token = run.set("mine")
    try:
        Shell(script="echo one; echo two >&2").trigger().result()
    finally:
        run.reset(token)
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    assert seen == ["mine", "mine"]


def test_of_long_output_the_end_is_kept() -> None:
    block = Shell(script="i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done", keep_bytes=1000,
                  log_output=False)  # fmt: skip
    output = block.trigger().result().output
    assert output.startswith("(cut: ")
    assert output.endswith("line 19999\n")
    assert len(output) < 1100


def test_waiting_may_end_before_the_command_does() -> None:
    run = Shell(script="read x; echo done", log_output=False, program=[]).trigger()
    run.wait(30)
    run = Shell(script="sleep 600").trigger()
    with pytest.raises(TimeoutError, match=r"still runs after 0\.05 s"):
        run.wait(0.05)
    assert run.identifier.isdigit()
    run.kill()
    with pytest.raises(JobFailed, match="SIGKILL"):
        run.result()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_at_its_time_out_all_of_the_group_ends(tmp_path: Path) -> None:
    # Both take no notice of being asked to end.
    script = "trap '' TERM; sh -c \"trap '' TERM; echo \\$\\$ > pid; while :; do sleep 1; done\" & wait; sleep 600"
    block = Shell(script=script, working_dir=str(tmp_path), timeout_s=1)
    run = block.trigger()
    child = int(until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text(), "the inner process"))
    assert alive(child)
    with pytest.raises(JobFailed, match=r"took longer than 1 s \(timeout_s\)"):
        run.result()
    until(lambda: not alive(child), "the end of the inner process")


def test_what_is_left_running_is_not_waited_for(tmp_path: Path) -> None:
    run = Shell(script="sleep 600 & echo $! > pid", working_dir=str(tmp_path)).trigger()
    try:
        assert run.result().exit_code == 0
    finally:
        os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.parametrize(
    ("fields", "text"),
    [({"program": ["no-such-program-here"]}, "no-such-program-here"), ({"script": "x", "shell": "/no/shell"}, "/no/sh"),
     ({"script": "x", "working_dir": "/no/folder"}, "working_dir: there is no folder /no/folder")],
)  # fmt: skip
def test_what_is_not_there_is_named_by_the_test_and_the_run(fields: dict[str, Any], text: str) -> None:
    block = Shell(**fields)
    for verb in (block.test, block.trigger):
        with pytest.raises(InvalidInput, match=text):
            verb()


def test_the_test_finds_the_program_and_runs_nothing(tmp_path: Path) -> None:
    said = Shell(script="touch ran", working_dir=str(tmp_path)).test()
    assert "/bin/sh" in said
    assert "/" in Shell(program=["env"]).test()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [{}, {"program": ["a"], "script": "b"}, {"program": [""]}, {"script": "  "}, {"script": "a\0"},
     {"script": "a", "env": {"A=B": "x"}}, {"script": "a", "secret_env": {"A": 1}}, {"script": "a", "timeout_s": 0}],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_when_written(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Shell(**fields)


def test_an_environment_of_a_run_is_checked() -> None:
    with pytest.raises(InvalidInput, match="env: '1A'"):
        Shell(script="true").trigger(env={"1A": "x"})
