"""``orchestrator ping``: addresses that jobs of other schedulers call when they start and end."""

from __future__ import annotations

from typing import Any, TextIO
from urllib.parse import quote

import click

from ..client import Client
from ..errors import Conflict
from ..timing import crontabs
from .lists import delete_all, read_list
from .output import emit, limit_option, note, output_option, yes_option

_COLUMNS = {"name": "Name", "resource_id": "Resource", "state": "State", "heard": "Heard", "started": "Started"}


@click.group()
def group() -> None:
    """Give jobs of cron, systemd and other schedulers an address that they call when they start and end."""


@group.command()
@click.argument("name")
@click.option("--resource", metavar="ID", help="Id of what the events are about; ping.NAME when left out.")
@click.option("--description", default="", metavar="TEXT", help="What the job does.")
@output_option
def create(name: str, resource: str | None, description: str, output: str) -> None:
    """Make a ping, and print its address: it is shown this once."""
    body = {"name": name, "resource_id": resource, "description": description}
    _show(Client.from_settings().post("pings", body), output)


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List pings, and what was last heard by them."""
    found = read_list("pings", limit)
    emit(found, output, columns=_COLUMNS, empty="There is no ping; `orchestrator ping create NAME` makes one.")


@group.command()
@click.argument("name")
@output_option
def rotate(name: str, output: str) -> None:
    """Give a ping a new address, and print it; the old one is worth nothing from now on."""
    _show(Client.from_settings().post(f"{_path(name)}/rotate"), output)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@yes_option
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete pings."""
    delete_all(names, _path, yes)


@group.command("import-crontab")
@click.argument("file", type=click.File("r"), default="-")
@click.option("--system", is_flag=True, help="The lines have a column of users, as /etc/crontab has.")
@click.option("--prefix", default="", metavar="TEXT", help="Put before the names, such as the machine's name.")
@click.option("--start", "starts", is_flag=True, help="Have the jobs tell their start as well, for their duration.")
@click.option("--dry-run", is_flag=True, help="Make no ping; show what the lines would look like.")
def import_crontab(file: TextIO, system: bool, prefix: str, starts: bool, dry_run: bool) -> None:
    """Print the crontab FILE (- or nothing: standard input) with a call added to each job; makes a ping for each.

    `crontab -l | orchestrator ping import-crontab > new && crontab new`
    """
    client = None if dry_run else Client.from_settings()

    def address_of(name: str) -> str:
        if client is None:
            return "https://ADDRESS/ping/TOKEN"
        return _create_free(client, prefix + name)

    # All pings are made before the first line is printed: half a crontab must never be installed.
    lines = [*crontabs.rewrite(crontabs.read(file.read(), system), address_of, starts)]
    for line in lines:
        click.echo(line)


def _path(name: str) -> str:
    return f"pings/{quote(name, safe='')}"


def _create_free(client: Client, name: str) -> str:
    """A new ping of this name, or of the name with the first number that is free."""
    number = 1
    while True:
        wanted = name if number == 1 else f"{name}-{number}"
        try:
            made: dict[str, Any] = client.post("pings", {"name": wanted})
        except Conflict:
            number += 1
            continue
        note(f"made the ping {wanted}")
        return str(made["url"])


def _show(facts: dict[str, Any], output: str) -> None:
    if output == "json":
        emit(facts, output)
        return
    url = facts["url"]
    click.echo(url)
    note(f"call it at the end of {facts['name']}, with its exit code: curl -fsS -m 10 --retry 3 {url}/$?")
