"""``orchestrator chain``: deployments that follow one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..projects import trigger_documents
from .lists import delete_all, read_list
from .output import emit, limit_option, note, output_option, yes_option

_WHAT = "a chain is a mapping with `name` and `steps`"
_COLUMNS = {"name": "Chain", "version": "Version", "steps": "Steps", "runs": "Runs", "updated": "Changed"}
_RUN_COLUMNS = {"id": "Run", "version": "Version", "status": "Status", "started": "Started", "come": "Steps"}
_STEP_COLUMNS = {"name": "Step", "status": "Status", "deployment": "Deployment", "flow_run.id": "Flow run", "why": ""}


@click.group()
def group() -> None:
    """Have deployments follow one another.

    CHAIN is a name. FILE is YAML; it may hold several chains, divided by `---`.
    """


@group.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@output_option
def apply(file: Path, output: str) -> None:
    """Make the chains of FILE be like it says; what changes gives a chain a new version."""
    client = Client.from_settings()
    applied = [client.post("chains", document) for document in trigger_documents.read_file(file, _WHAT)]
    for item in applied:
        note(f"{item['chain']['name']}: {item['change']}, version {item['chain']['version']}")
    if output == "json":
        emit(applied, output)


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List chains."""
    found = read_list("chains", limit)
    shown = found if output == "json" else [{**item, "steps": len(item["document"]["steps"])} for item in found]
    emit(shown, output, columns=_COLUMNS, empty="There is none; `orchestrator chain apply FILE` makes one.")


@group.command()
@click.argument("chain")
@click.option("--version", type=click.IntRange(1), metavar="N", help="An earlier version of it.")
@output_option
def inspect(chain: str, version: int | None, output: str) -> None:
    """Show a chain whole."""
    emit(Client.from_settings().get(_path(chain), {"version": version}), output)


@group.command()
@click.argument("chain")
@click.option("--param", "pairs", multiple=True, metavar="NAME=VALUE", help="A parameter of the first steps.")
@output_option
def run(chain: str, pairs: tuple[str, ...], output: str) -> None:
    """Start a chain. A VALUE is JSON, or else text."""
    made = Client.from_settings().post(f"{_path(chain)}/runs", {"parameters": dict(map(_pair, pairs))})
    note(f"started {chain}, version {made['version']}: orchestrator chain runs {chain} {made['id']}")
    if output == "json":
        emit(made, output)


@group.command()
@click.argument("chain")
@click.argument("run", required=False)
@limit_option
@output_option
def runs(chain: str, run: str | None, limit: int, output: str) -> None:
    """List the runs of a chain; with RUN, tell where each step of that one stands."""
    if run is not None:
        found = Client.from_settings().get(f"{_path(chain)}/runs/{quote(run, safe='')}")
        emit(found if output == "json" else found["steps"], output, columns=_STEP_COLUMNS)
        return
    all_runs = read_list(f"{_path(chain)}/runs", limit)
    shown = all_runs if output == "json" else [{**item, "come": _come(item["steps"])} for item in all_runs]
    emit(shown, output, columns=_RUN_COLUMNS, empty=f"It never ran; `orchestrator chain run {chain}` starts it.")


@group.command()
@click.argument("chains", nargs=-1, required=True, metavar="CHAIN...")
@yes_option
def delete(chains: tuple[str, ...], yes: bool) -> None:
    """Delete chains; their flow runs stay, and nothing follows those that go on."""
    delete_all(chains, _path, yes)


def _path(chain: str) -> str:
    return f"chains/{quote(chain, safe='')}"


def _pair(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise click.BadParameter(f"{text!r} is not NAME=VALUE", param_hint="--param")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _come(steps: list[dict[str, Any]]) -> str:
    number = sum(step["status"] in ("done", "failed", "skipped") for step in steps)
    return f"{number} of {len(steps)}"
