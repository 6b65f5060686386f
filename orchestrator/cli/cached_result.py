"""``orchestrator cached-result``: results that calls of tasks share across runs."""

from __future__ import annotations

from itertools import islice

import click

from ..client import Client
from .output import emit, limit_option, note, output_option

_COLUMNS = {"id": "ID", "key": "Key", "task_key": "Task", "created": "Created", "expires": "Expires"}


@click.group()
def group() -> None:
    """Look at cached results of tasks, and have them forgotten."""


@group.command("ls")
@click.option("--task", metavar="TEXT", help="Only results of tasks whose qualified name holds this.")
@limit_option
@output_option
def listing(task: str | None, limit: int, output: str) -> None:
    """List cached results, newest first."""
    client = Client.from_settings()
    params = {"task_key": task, "limit": min(limit, 200)}
    found = list(islice(client.pages("cached-results", params), limit))
    emit(found, output, columns=_COLUMNS, empty="Nothing is cached.")


@group.command()
@click.argument("key", type=click.UUID, metavar="ID")
@output_option
def inspect(key: str, output: str) -> None:
    """Show a cached result."""
    emit(Client.from_settings().get(f"cached-results/{key}"), output)


@group.command()
@click.argument("key", type=click.UUID, metavar="ID")
def delete(key: str) -> None:
    """Forget a cached result: the next call of the task computes it anew."""
    Client.from_settings().delete(f"cached-results/{key}")
    note(f"Forgot the cached result {key}.")
