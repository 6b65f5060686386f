"""Crontabs, rewritten so that each job tells how it ended."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass

#: ``NAME = value``, which is no job.
_ASSIGNMENT = re.compile(r"\s*[A-Za-z_]\w*\s*=")
_MACRO = re.compile(r"\s*@\w+\s+")
_FIELDS = re.compile(r"\s*(?:\S+\s+){5}")
_USER = re.compile(r"\S+\s+")
#: The first ``%`` that is not escaped ends the command: what follows is its input.
_INPUT = re.compile(r"(?<!\\)%")
_CURL = "curl -fsS -m 10 --retry 3 -o /dev/null"


@dataclass(frozen=True)
class Line:
    """A line of a crontab.

    Attributes:
        text: As it stands.
        when: Time and, in a system's crontab, user; empty where the line is no job.
        command: What is executed.
        input: What stands behind the command for its standard input, with the ``%`` before it.
    """

    text: str
    when: str = ""
    command: str = ""
    input: str = ""

    @property
    def is_job(self) -> bool:
        """Whether the line starts something."""
        return bool(self.command)


def read(text: str, system: bool = False) -> list[Line]:
    """The lines of a crontab; ``system``: one with a column of users, as ``/etc/crontab`` is."""
    return [_read(line, system) for line in text.splitlines()]


def rewrite(lines: list[Line], address_of: Callable[[str], str], starts: bool = False) -> Iterator[str]:
    """The lines with calls of pings added to the jobs; what is no job stays as it is.

    Args:
        address_of: Gives the address of a new ping, by the name that it shall have.
        starts: Tell starts as well, which costs a call before each job.
    """
    taken: set[str] = set()
    for line in lines:
        if not line.is_job:
            yield line.text
        elif reason := why_not(line):
            yield f"# not watched: {reason}"
            yield line.text
        else:
            yield _watched(line, address_of(_free(name_of(line.command), taken)), starts)


def why_not(line: Line) -> str:
    """Why a job cannot be rewritten; empty where it can."""
    command = line.command.rstrip()
    if command.endswith("&"):
        return "it goes to the background, so that its end is not seen"
    if command.endswith("\\"):
        return "it ends in a backslash"
    if "/ping/" in command and "curl" in command:
        return "it calls a ping already"
    try:
        shlex.split(command.replace("\\%", "%"))
    except ValueError:
        return "its quotes do not match"
    return ""


def name_of(command: str) -> str:
    """A name for a job: its program, or the script that an interpreter is given."""
    try:
        words = shlex.split(command.replace("\\%", "%"), comments=True)
    except ValueError:
        words = command.split()
    words = [word for word in words if not _ASSIGNMENT.match(word) and not word.startswith("-")]
    for before, word in zip(["", *words], words, strict=False):
        base = word.rstrip("/").rpartition("/")[2]
        if base not in _WRAPPERS and not base.isdigit() and before != "cd":
            return re.sub(r"[^A-Za-z0-9_.-]+", "-", base).strip("-.")[:100] or "job"
    return "job"


_WRAPPERS = frozenset({
    "cd", "env", "exec", "nice", "ionice", "nohup", "sudo", "time", "timeout", "flock", "sh", "bash", "dash", "zsh",
    "python", "python3", "perl", "ruby", "node", "php", "Rscript", "test", "[", "]", "&&", "||", ";", "(", "{", "!",
})  # fmt: skip


def _read(line: str, system: bool) -> Line:
    if not line.strip() or line.lstrip().startswith("#") or _ASSIGNMENT.match(line):
        return Line(line)
    when = _MACRO.match(line) or _FIELDS.match(line)
    if when is None:
        return Line(line)
    end = when.end()
    if system and (user := _USER.match(line, end)):
        end = user.end()
    stop = _INPUT.search(line, end)
    split = stop.start() if stop else len(line)
    return Line(line, line[:end], line[end:split].strip(), line[split:])


def _watched(line: Line, url: str, starts: bool) -> str:
    """``( command ); curl ADDRESS/$?``: in parentheses, so that an ``exit`` in the command does not leave out the call.

    A comment at the command's end would swallow what follows it, so it goes.
    """
    command = _without_comment(line.command).rstrip("; \t")
    before = f"{_CURL} {url}/start; " if starts else ""
    return f"{line.when}{before}( {command} ); {_CURL} {url}/$?{line.input}"


def _without_comment(command: str) -> str:
    """Cut ``# ...`` off, where it stands outside of quotes at the beginning of a word."""
    quote, before = "", " "
    escaped = False
    for place, character in enumerate(command):
        if escaped:
            escaped = False
        elif character == "\\" and quote != "'":
            escaped = True
        elif quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and before in " \t;&|(":
            return command[:place]
        before = character
    return command


def _free(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}-{number}"
    taken.add(found)
    return found
