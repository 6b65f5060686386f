"""``orchestrator webhook``: addresses at which other systems tell what happened."""

from __future__ import annotations

import json
from typing import Any, TextIO
from urllib.parse import quote

import click

from ..client import Client
from .lists import delete_all, read_list
from .output import confirm, emit, limit_option, note, output_option, yes_option

_COLUMNS = {
    "name": "Name",
    "preset": "Preset",
    "active": "Active",
    "address_end": "Address ends in",
    "rotated": "Since",
}
_DELIVERIES = {
    "id": "Id",
    "received": "Received",
    "method": "Method",
    "size": "Bytes",
    "outcome": "Outcome",
    "status": "Answer",
    "reason": "Reason",
}
_SCHEMES = ("hmac-sha256", "hmac-sha1", "hmac-sha512", "monte-carlo", "token", "sns", "none")


@click.group()
def group() -> None:
    """Take deliveries of other systems (GitHub, S3, dbt Cloud, Alertmanager ...) and make events of them."""


def _settings(function: Any) -> Any:
    """Options that create and update share."""
    for option in (
        click.option("--description", metavar="TEXT", help="What it is for."),
        click.option("--template", type=click.File(), help="A Jinja template in a file; - is standard input."),
        click.option("--secret", metavar="SECRET", help="What deliveries are signed with; - asks for it."),
        click.option("--signature", type=click.Choice(_SCHEMES), help="How they are signed; the preset knows."),
        click.option("--header", metavar="NAME", help="The header that carries the signature."),
        click.option("--prefix", metavar="TEXT", help="What stands before the signature in that header."),
        click.option("--minute-max", type=click.IntRange(1, 100_000), help="Most deliveries in a minute."),
    ):
        function = option(function)
    return function


@group.command()
@click.argument("name")
@click.option("--preset", metavar="PRESET", help="What sends: `orchestrator webhook presets` lists them.")
@_settings
@output_option
def create(name: str, preset: str | None, output: str, **settings: Any) -> None:
    """Make a webhook and print its address, which is shown this once."""
    client = Client.from_settings()
    body = {"name": name, **_body(settings, {})}
    if preset:
        body["preset"] = preset
    _addressed(client.post("webhooks", body), output)


@group.command()
@click.argument("name")
@_settings
@output_option
def update(name: str, output: str, **settings: Any) -> None:
    """Change a webhook; its address stays."""
    client = Client.from_settings()
    changes = _body(settings, client.get(_path(name))["signature"] or {})
    if not changes:
        raise click.UsageError("say what to change: --template, --secret, --description ...")
    facts = client.patch(_path(name), changes)
    note(f"{name} is changed")
    if output == "json":
        emit(facts, output)


@group.command("ls")
@limit_option
@output_option
def listing(limit: int, output: str) -> None:
    """List webhooks."""
    found = read_list("webhooks", limit)
    emit(found, output, columns=_COLUMNS, empty="There is no webhook; `orchestrator webhook create` makes one.")


@group.command()
@click.argument("name")
@output_option
def inspect(name: str, output: str) -> None:
    """Show a webhook with its template."""
    emit(Client.from_settings().get(_path(name)), output)


@group.command()
@output_option
def presets(output: str) -> None:
    """List the systems whose deliveries are known."""
    found = list(Client.from_settings().pages("webhook-presets", {}))
    emit(found, output, columns={"slug": "Preset", "name": "System", "description": "What its deliveries become"})


@group.command()
@click.argument("name")
@yes_option
@output_option
def rotate(name: str, yes: bool, output: str) -> None:
    """Give a webhook a new address and print it; the old one leads nowhere at once."""
    client = Client.from_settings()
    client.get(_path(name))
    confirm(f"Deliveries to the present address of {name} will fail. Rotate it?", yes)
    _addressed(client.post(f"{_path(name)}/rotate"), output)


@group.command()
@click.argument("name")
@click.option(
    "--outcome", type=click.Choice(["accepted", "ignored", "confirmed", "failed", "refused"]), help="Only these."
)
@limit_option
@output_option
def deliveries(name: str, outcome: str | None, limit: int, output: str) -> None:
    """List what came lately, newest first."""
    found = read_list(f"{_path(name)}/deliveries", limit, {"outcome": outcome})
    emit(found, output, columns=_DELIVERIES, empty="No delivery is kept.")


@group.command()
@click.argument("name")
@click.option("--template", type=click.File(), help="An edited template; left out: the webhook's own.")
@click.option("--delivery", "delivery_id", metavar="ID", help="Left out: the newest, or the preset's example.")
@output_option
def render(name: str, template: TextIO | None, delivery_id: str | None, output: str) -> None:
    """Show what a template makes of a delivery; nothing is written. Exit code 1 when it fails."""
    asked: dict[str, Any] = {"delivery_id": delivery_id}
    if template is not None:
        asked["template"] = template.read()
    trial = Client.from_settings().post(f"{_path(name)}/render", asked)
    if output == "json":
        emit(trial, output)
    else:
        note(f"rendered on {'delivery ' + trial['delivery_id'] if trial['delivery_id'] else 'the example'}")
        click.echo(json.dumps(trial["events"], indent=2, ensure_ascii=False) if trial["events"] else trial["rendered"])
    if trial["reason"]:
        note(f"Error: {trial['reason']}")
        raise click.exceptions.Exit(1)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def enable(names: tuple[str, ...]) -> None:
    """Take deliveries again."""
    _switch(names, True)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def disable(names: tuple[str, ...]) -> None:
    """Take no deliveries: their senders find nothing at the address."""
    _switch(names, False)


@group.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@yes_option
def delete(names: tuple[str, ...], yes: bool) -> None:
    """Delete webhooks with their deliveries; the events that they made stay."""
    delete_all(names, _path, yes)


def _body(settings: dict[str, Any], present: dict[str, Any]) -> dict[str, Any]:
    body = {name: settings[name] for name in ("description", "minute_max") if settings[name] is not None}
    if settings["template"] is not None:
        body["template"] = settings["template"].read()
    if settings["secret"] is not None:
        given = settings["secret"]
        body["secret"] = click.prompt("Secret", hide_input=True, err=True) if given == "-" else given
    parts = {"scheme": settings["signature"], "header": settings["header"], "prefix": settings["prefix"]}
    signed = {name: value for name, value in parts.items() if value is not None}
    if signed.get("scheme") == "none":
        body["signature"] = None
    elif signed:
        body["signature"] = {**present, **signed}
        if "scheme" not in body["signature"]:
            raise click.UsageError("--header and --prefix need --signature")
    return body


def _switch(names: tuple[str, ...], active: bool) -> None:
    client = Client.from_settings()
    for name in names:
        client.patch(_path(name), {"active": active})
        note(f"{name} is {'on' if active else 'off'}")


def _addressed(facts: dict[str, Any], output: str) -> None:
    if output == "json":
        emit(facts, output)
        return
    note(f"{facts['webhook']['name']}: keep this address, it is shown this once. Whoever has it can deliver.")
    click.echo(facts["url"])


def _path(name: str) -> str:
    return f"webhooks/{quote(name, safe='')}"
