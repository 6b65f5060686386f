"""``orchestrator task-run``: what happened inside a flow run."""

from __future__ import annotations

from itertools import islice

import click

from ..client import Client
from ..keeping.result_storage import read_kept
from ..states import StateType
from .output import emit, limit_option, output_option
from .references import flow_run_id

_COLUMNS = {"id": "ID", "name": "Name", "state": "State", "attempt": "Attempt", "started": "Started", "ended": "Ended"}


@click.group()
def group() -> None:
    """Look at the task runs of a flow run."""


@group.command("ls")
@click.argument("run")
@click.option(
    "--state",
    "states",
    type=click.Choice([kind.value for kind in StateType], case_sensitive=False),
    multiple=True,
    help="Only task runs in this type of state; may be repeated.",
)
@limit_option
@output_option
def listing(run: str, states: tuple[str, ...], limit: int, output: str) -> None:
    """List the task runs of a flow RUN, given by its id or unique name."""
    client = Client.from_settings()
    params = {"flow_run_id": flow_run_id(client, run), "state_type": states, "limit": min(limit, 200)}
    runs = list(islice(client.pages("task-runs", params), limit))
    emit(runs, output, columns=_COLUMNS, empty="No task run fits.")


@group.command()
@click.argument("task_run", type=click.UUID, metavar="ID")
@output_option
def inspect(task_run: str, output: str) -> None:
    """Show all that is known of one task run, its states included."""
    client = Client.from_settings()
    facts = client.get(f"task-runs/{task_run}")
    states = list(client.pages(f"task-runs/{task_run}/states"))
    if output == "json":
        emit({**facts, "states": states}, output)
        return
    emit(facts)
    click.echo()
    emit(states, columns={"at": "At", "type": "State", "name": "Name", "message": "Message"})


@group.command()
@click.argument("task_run", type=click.UUID, metavar="ID")
@output_option
def result(task_run: str, output: str) -> None:
    """Print what a task run returned, wherever it is kept, as JSON."""
    client = Client.from_settings()
    kept = client.get(f"task-runs/{task_run}")["result"]
    found = read_kept(kept, f"task run {task_run}", client)
    emit(found, "json")
