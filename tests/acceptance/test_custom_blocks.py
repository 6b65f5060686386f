"""The tutorial on one's own kinds of block, typed as it stands against a whole server and a separate agent."""

from __future__ import annotations

import re
import shlex
import textwrap
from contextlib import ExitStack
from pathlib import Path

from ..stack import Stack, running_stack

PAGE = Path(__file__).resolve().parents[2] / "docs" / "custom-blocks.md"
_FENCE = re.compile(r'^```(python|console)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)


def test_the_tutorial_works_as_it_is_written(tmp_path: Path) -> None:
    project, store = tmp_path / "project", tmp_path / "store"
    project.mkdir()
    with running_stack() as stack, ExitStack() as agents:
        commands = 0
        for language, title, text in _FENCE.findall(PAGE.read_text("utf-8")):
            if language == "python":
                write(project, title, text)
                continue
            for command, *shown in calls(text.replace("/srv/flows", str(store))):
                commands += 1
                if command[:2] == ["agent", "start"]:
                    agents.enter_context(stack.agent(command[3]))
                else:
                    type_in(stack, project, command, shown)
        assert commands > 10
        (kind,) = (item for item in stack.client.pages("block-types") if item["slug"] == "partner")
        assert {"contact", "key", "zone", "account"} == {*kind["schema"]["properties"]}
        runs = [*stack.client.pages("flow-runs")]
        assert {run["parameters"]["subject"] for run in runs} == {"To {{ blocks.partner.acme.contact }}"}


def write(project: Path, title: str, text: str) -> None:
    """Write a file of the tutorial, or add a field to the class that a file ends with."""
    added = title.startswith("added to ")
    with (project / title.removeprefix("added to ")).open("a" if added else "w") as file:
        file.write(textwrap.indent(f"\n{text}", "    ") if added else text)


def calls(text: str) -> list[list[list[str] | str]]:
    """Each command of a console, followed by the lines that it is shown to print."""
    found: list[list[list[str] | str]] = []
    for line in text.splitlines():
        if line.startswith("$ orchestrator "):
            found.append([shlex.split(line)[2:]])
        elif line.strip():
            found[-1].append(line)
    return found


def type_in(stack: Stack, project: Path, command: list[str], shown: list[str]) -> None:
    """Run a command; what the page shows of its output is in it, whatever the width of its columns."""
    done = stack.cli(*command, cwd=project)
    said = " ".join((done.stdout + done.stderr).split())
    assert (done.returncode == 0) == ("FAILED" not in shown), f"{command}: {said}"
    for line in shown:
        assert " ".join(line.split()).lower() in said.lower(), f"{command} does not print {line!r}: {said}"
