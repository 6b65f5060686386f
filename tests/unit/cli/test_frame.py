"""The frame of the command line: what loads when, how errors are told, what the shell sees."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest

import orchestrator.cli
from orchestrator import errors
from orchestrator.cli import NOUNS, LazyGroup, main, message_of, run

from ...polling import one_line
from .conftest import Cli

HEAVY = ("rich", "pydantic", "flask", "sqlalchemy", "celery", "marshmallow", "urllib3", "croniter")


def orchestrator_process(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        env={**os.environ, **env}, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_help_names_every_noun_and_loads_none() -> None:
    program = (
        "import sys, orchestrator.cli as c; code = c.run(['--help']);"
        f"print([name for name in {HEAVY!r} if name in sys.modules]"
        " + [name for name in sys.modules if name.startswith('orchestrator.cli.')]); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    for noun, facts in NOUNS.items():
        assert f"  {noun} " in done.stdout
        assert facts.help.split(".")[0].split(",")[0][:30] in done.stdout


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_loads_and_helps(noun: str, cli: Cli) -> None:
    assert find_spec(f"orchestrator.cli.{NOUNS[noun].module}"), f"{noun} has no module"
    done = cli(noun, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"orchestrator {noun}" in done.out


def test_plurals_are_understood(cli: Cli) -> None:
    assert cli("schedules", "preview", "--interval", "1h").code == 0
    assert cli("configs", "view").code == 2


def test_an_unknown_noun_is_answered_with_the_nearest(cli: Cli) -> None:
    done = cli("flow-rnu", "ls")
    assert done.code == 2
    assert "did you mean flow-run?" in one_line(done.err)
    assert "--help" in one_line(cli("zzzzzz").err)


def test_wrong_use_is_one_line_and_2(cli: Cli) -> None:
    for words in (["schedule", "preview", "-n", "none"], ["profile", "use"], ["version", "--nope"], ["profile", "x"]):
        done = cli(*words)
        assert done.code == 2, words
        assert one_line(done.err).startswith("Error: ")
        assert done.out == ""


def test_no_arguments_are_answered_with_help(cli: Cli) -> None:
    done = cli("profile")
    assert done.code == 2
    assert "Usage: orchestrator profile" in done.err


def test_version_and_module_start() -> None:
    done = orchestrator_process("--version")
    assert (done.returncode, done.stdout.strip()) == (0, orchestrator.cli.__version__)


def raising(error: BaseException) -> click.Group:
    @click.group()
    def group() -> None:
        pass

    @group.command()
    def now() -> None:
        raise error

    return group


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (errors.NotFound("there is no x"), 1, "Error: there is no x"),
        (errors.InvalidInput("the input is bad\nin two lines"), 2, "Error: the input is bad in two lines"),
        (errors.ScheduleError("cron: bad", {"cron": ["bad"]}), 2, "Error: cron: bad"),
        (
            errors.ParameterError("parameters do not fit", {"day": ["is missing"], "a": {"b": ["is no number"]}}),
            2,
            "Error: parameters do not fit: day: is missing; a.b: is no number",
        ),
        (errors.ApiError("the API answered 500", 500), 1, "Error: the API answered 500"),
        (errors.AccessDenied(), 1, f"Error: {errors.AccessDenied.__doc__}"),
        (KeyboardInterrupt(), 130, ""),
        (EOFError(), 1, "Error: nothing was answered"),
    ],
)
def test_errors_are_one_line_with_the_right_code(
    error: BaseException, code: int, told: str, monkeypatch: pytest.MonkeyPatch, cli: Cli
) -> None:
    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: raising(error))
    done = cli("flow", "now")
    assert done.code == code
    assert done.err.strip() == told
    assert done.out == ""


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LazyGroup, "get_command", lambda *_: raising(ZeroDivisionError("ours")))
    with pytest.raises(ZeroDivisionError):
        run(["flow", "now"])


def test_message_of_names_only_what_is_missing() -> None:
    assert message_of(errors.InvalidInput("name: is empty", {"name": ["is empty"]})) == "name: is empty"


def test_main_leaves_with_the_code() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2


def test_a_reader_that_goes_away_is_no_error() -> None:
    producer = subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "schedule", "preview", "--interval", "1m", "-n", "1000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert producer.stdout
    assert producer.stderr
    producer.stdout.close()
    assert producer.stderr.read() == b""
    producer.stderr.close()
    assert producer.wait(30) == 1


def test_a_profile_for_one_command(cli: Cli, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHESTRATOR_PROFILE", "")
    assert cli("profile", "create", "one", "--api-url", "http://one.test", "--use").code == 0
    assert cli("profile", "create", "two", "--api-url", "http://two.test").code == 0
    shown: list[dict[str, Any]] = cli("--profile", "two", "config", "view", "--output", "json").json
    values = {row["name"]: (row["value"], row["source"]) for row in shown}
    assert values["API_URL"] == ("http://two.test", "profile two")


@pytest.mark.parametrize(
    ("typed", "offered"), [("orchestrator flow-", "flow-run"), ("orchestrator schedule pre", "preview")]
)
def test_the_shell_completes(typed: str, offered: str) -> None:
    words = typed.split()
    done = orchestrator_process(
        _ORCHESTRATOR_COMPLETE="bash_complete", COMP_WORDS=typed, COMP_CWORD=str(len(words) - 1)
    )
    assert f"plain,{offered}" in done.stdout.splitlines()


def test_everything_that_lists_or_shows_speaks_json() -> None:
    def walk(command: click.Command, path: str) -> list[str]:
        if isinstance(command, click.Group):
            return [line for name, found in command.commands.items() for line in walk(found, f"{path} {name}")]
        shows = path.split()[-1] in ("ls", "inspect", "run", "status", "view", "preview", "version")
        speaks = any(option.name == "output" for option in command.params)
        return [path] if shows and not speaks else []

    context = click.Context(orchestrator.cli.cli)
    commands = [(noun, orchestrator.cli.cli.get_command(context, noun)) for noun in NOUNS]
    assert [line for noun, command in commands if command for line in walk(command, noun)] == []
