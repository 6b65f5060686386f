"""``orchestrator shell``: commands that run as they are, and are told of."""

from __future__ import annotations

from typing import Any

import click

from .. import reporting, settings
from ..errors import OrchestratorError
from ..observing import shell_commands as commands
from .output import note


@click.group()
def group() -> None:
    """Run commands as they are, and have their starts and ends known as events."""


@group.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND...")
@click.option("--name", metavar="NAME", help="What the command is called; its program's name when left out.")
@click.option("--resource", metavar="ID", help="Id of what the events are about; shell.HOST.NAME when left out.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the resource; repeatable.")
@click.option("--arguments", is_flag=True, help="Tell the command's arguments, too; they may hold secrets.")
@click.option("--no-output", is_flag=True, help="Do not tell its output.")
@click.option("--no-run", is_flag=True, help="Tell of it by events only; it is no flow run.")
def watch(
    command: tuple[str, ...],
    name: str | None,
    resource: str | None,
    labels: tuple[str, ...],
    arguments: bool,
    no_output: bool,
    no_run: bool,
) -> int:
    """Run COMMAND: its output, exit code and signals stay as they are.

    It is a flow run: its output is the run's log, its exit code decides the state. Events tell of it, too:
    shell.started, then shell.completed or shell.failed with its duration, its exit code and the end of its output.
    All of that is kept on disk while the server is away.
    """
    pairs = dict(_label(text) for text in labels)
    options: dict[str, Any] = {"arguments": arguments, "output": not no_output, "run": not no_run, "labels": pairs}
    told = commands.told_of(command, name, resource, **options)
    found = _settings()
    code = commands.watch(command, told)
    if found is not None:
        reporting.process_reporter(found).close()
    return commands.leave_like(code)


def _settings() -> settings.Settings | None:
    """The settings, if somebody can be told by them; what is wrong with them does not keep the command from running."""
    try:
        found = settings.load()
    except OrchestratorError as error:
        note(str(error))
        return None
    if found.api_url:
        return found
    note("no API is configured (ORCHESTRATOR_API_URL): nobody is told of this command")
    return None


def _label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--label")
    return key, value
