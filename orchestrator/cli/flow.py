"""``orchestrator flow``: what runs were recorded of, and what deployments are made of."""

from __future__ import annotations

import contextlib
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..client import Client
from .output import emit, limit_option, note, output_option
from .references import flow_id

if TYPE_CHECKING:
    from ..flow_graphs import FlowGraph

_COLUMNS = {"name": "Flow", "tags": "Tags", "created": "Created", "id": "ID"}


@click.group()
def group() -> None:
    """List flows. A flow is known once it was deployed, or recorded when it ran by hand."""


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List flows."""
    found = list(islice(Client.from_settings().pages("flows", {"limit": min(limit, 200)}), limit))
    emit(found, output, columns=_COLUMNS, empty="There is no flow.")


@group.command()
@click.argument("flow")
@output_option
def inspect(flow: str, output: str) -> None:
    """Show one flow, by name or id, with its deployments."""
    client = Client.from_settings()
    facts = client.get(f"flows/{flow_id(client, flow)}")
    named = client.pages("deployments", {"flow": facts["name"], "limit": 200})
    emit({**facts, "deployments": [item["name"] for item in named]}, output)


@group.command()
@click.argument("entrypoint", metavar="FILE:FLOW")
@click.option(
    "--output",
    type=click.Choice(["mermaid", "svg", "json"]),
    default="mermaid",
    show_default=True,
    help="Text that Mermaid draws, a picture, or nodes and edges.",
)
@click.option("--parameters", "show_parameters", is_flag=True, help="Draw where the flow's parameters go, too.")
@click.option("--param", "params", metavar="KEY=VALUE", multiple=True, help="A parameter; the value is JSON or text.")
@click.option("--params", "params_json", metavar="JSON", help="Several parameters, as a JSON object.")
def graph(
    entrypoint: str, output: str, show_parameters: bool, params: tuple[str, ...], params_json: str | None
) -> None:
    """Draw what a flow runs after what, without running a task.

    FILE:FLOW is a file and the flow in it (flows/load.py:load), or package.module:flow. The flow's own function is
    called with stand-ins for what its tasks return; what it prints goes to standard error.
    """
    from .values import read_parameters

    values = read_parameters(params, params_json)
    with contextlib.redirect_stdout(sys.stderr):
        found = _graph(entrypoint, values, show_parameters)
    if found.note:
        note(found.note)
    if output == "json":
        emit(found.to_dict(), output)
    else:
        click.echo(found.svg() if output == "svg" else found.mermaid(), nl=False)


def _graph(entrypoint: str, values: dict[str, object], show_parameters: bool) -> FlowGraph:
    from ..flow_graphs import graph_of
    from ..projects.loading import load_flow

    folder, place = Path.cwd(), entrypoint.rpartition(":")[0]
    if place.endswith(".py") and not (folder / place).resolve().is_relative_to(folder):
        path = (folder / place).resolve()
        folder, entrypoint = path.parent, f"{path.name}:{entrypoint.rpartition(':')[2]}"
    return graph_of(load_flow(folder, entrypoint), (), values, show_parameters)
