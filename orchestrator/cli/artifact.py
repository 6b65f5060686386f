"""``orchestrator artifact``: what runs have published for people to read."""

from __future__ import annotations

import uuid
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..errors import NotFound
from .output import confirm, console, emit, limit_option, note, output_option, yes_option
from .references import flow_run_id

_COLUMNS = {"id": "ID", "key": "Key", "type": "Type", "description": "Description", "created": "Created"}


@click.group()
def group() -> None:
    """Read what runs have published: tables, markdown, links, images, progress."""


@group.command("ls")
@click.option("--key", help="Only artifacts under this key.")
@click.option("--type", "kind", help="Only artifacts of this type, such as markdown or table.")
@click.option("--flow-run", metavar="RUN", help="Only artifacts of this run.")
@click.option("--latest", is_flag=True, help="The newest of each key only.")
@limit_option
@output_option
def listing(key: str | None, kind: str | None, flow_run: str | None, latest: bool, limit: int, output: str) -> None:
    """List artifacts, newest first; those of one key are its history."""
    client = Client.from_settings()
    params: dict[str, Any] = {"key": key, "type": kind, "latest": latest or None, "limit": min(limit, 200)}
    if flow_run:
        params["flow_run_id"] = flow_run_id(client, flow_run)
    artifacts = list(islice(client.pages("artifacts", params), limit))
    emit(artifacts, output, columns=_COLUMNS, empty="No artifact fits.")


@group.command()
@click.argument("artifact", metavar="KEY|ID")
@output_option
def inspect(artifact: str, output: str) -> None:
    """Show one artifact, of a key the newest: markdown and tables as they read."""
    facts = _one(Client.from_settings(), artifact)
    if output == "json":
        emit(facts, output)
        return
    data = facts.pop("data")
    emit(facts)
    click.echo()
    if facts["type"] == "markdown" and isinstance(data, str):
        from rich.markdown import Markdown

        console().print(Markdown(data))
    elif facts["type"] == "progress":
        click.echo(f"{data:g} %")
    elif facts["type"] == "image":
        click.echo(
            data["url"] if not data["url"].startswith("data:") else f"an image of {len(data['url']):,} characters"
        )
    else:
        emit(data)


@group.command()
@click.argument("artifacts", nargs=-1, required=True, metavar="KEY|ID...")
@yes_option
def delete(artifacts: tuple[str, ...], yes: bool) -> None:
    """Delete artifacts: one by its id, all of a history by its key."""
    client = Client.from_settings()
    for artifact in artifacts:
        _one(client, artifact)
    confirm(f"Delete {', '.join(artifacts)}?", yes)
    for artifact in artifacts:
        client.delete(f"artifacts/{artifact}" if _is_id(artifact) else f"artifacts/keys/{quote(artifact, safe='')}")
        note(f"deleted {artifact}")


def _one(client: Client, artifact: str) -> dict[str, Any]:
    if _is_id(artifact):
        found: dict[str, Any] = client.get(f"artifacts/{artifact}")
        return found
    items = client.get("artifacts", {"key": artifact, "limit": 1})["items"]
    if not items:
        raise NotFound(f"there is no artifact with the key {artifact}: `orchestrator artifact ls --latest` lists keys")
    return dict(items[0])


def _is_id(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
