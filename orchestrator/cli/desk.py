"""``orchestrator desk``: what you watch, in plain sentences."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..errors import Conflict, NotFound
from .output import emit, note, output_option
from .references import deployment_id
from .values import read_parameters

_COLUMNS = {"sign": "Sign", "sentence": "What is known", "told_by": "Tells you", "forms": "Saved forms"}


@click.group()
def group() -> None:
    """Your desk: resources, deployments and expectations that you watch, whether they are fresh, due or late."""


@group.command("ls")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of the times.")
@output_option
def listing(timezone: str, output: str) -> None:
    """Tell of all that is on your desk, the worst first."""
    found = Client.from_settings().get("desk", {"timezone": timezone})["items"]
    shown = found if output == "json" else [{**item, "forms": ", ".join(item["forms"])} for item in found]
    emit(shown, output, columns=_COLUMNS, empty="Your desk is empty; `orchestrator desk add` puts something on it.")


@group.command()
@click.option("--resource", metavar="ID", help="A resource, by its id.")
@click.option("--deployment", metavar="DEPLOYMENT", help="A deployment: flow/name.")
@click.option("--expectation", metavar="NAME", help="An expectation.")
@output_option
def add(resource: str | None, deployment: str | None, expectation: str | None, output: str) -> None:
    """Put one thing on your desk."""
    given = {"resource": resource, "deployment": deployment, "expectation": expectation}
    named = {key: value for key, value in given.items() if value}
    if len(named) != 1:
        raise click.UsageError("name one thing: --resource, --deployment or --expectation")
    made = Client.from_settings().post("desk", named)
    note(made["sentence"])
    if output == "json":
        emit(made, output)


@group.command()
@click.argument("thing")
def remove(thing: str) -> None:
    """Take THING off your desk, by its name or id."""
    client = Client.from_settings()
    found = _find(client, thing)
    client.delete(f"desk/{found['id']}")
    note(f"{found['name']} is off your desk")


@group.command()
@click.argument("thing")
@click.option("--by", "block", metavar="BLOCK", help="A notifier, as type/name: slack/me.")
@click.option("--off", is_flag=True, help="Tell no more.")
def tell(thing: str, block: str | None, off: bool) -> None:
    """Be told when THING fails or is late. It makes a trigger."""
    if bool(block) == off:
        raise click.UsageError("give --by BLOCK, or --off")
    client = Client.from_settings()
    found = _find(client, thing)
    client.post(f"desk/{found['id']}/tell", {"block": block})
    note(f"{block} tells when {found['name']} fails or is late" if block else f"nobody tells of {found['name']}")


@group.command()
@click.argument("deployment")
@output_option
def forms(deployment: str, output: str) -> None:
    """List the saved forms of DEPLOYMENT."""
    client = Client.from_settings()
    found = client.get(f"deployments/{deployment_id(client, deployment)}/forms")["items"]
    emit(found, output, columns={"name": "Form", "parameters": "Parameters"}, empty="It has no saved form.")


@group.command("save-form")
@click.argument("deployment")
@click.argument("form")
@click.option("--param", "params", metavar="KEY=VALUE", multiple=True, help="A parameter; the value is JSON or text.")
@click.option("--params", "params_json", metavar="JSON", help="Several parameters, as a JSON object.")
def save_form(deployment: str, form: str, params: tuple[str, ...], params_json: str | None) -> None:
    """Keep parameters of DEPLOYMENT as FORM, in place of what it kept."""
    client = Client.from_settings()
    path = f"deployments/{deployment_id(client, deployment)}/forms/{quote(form, safe='')}"
    client.put(path, {"parameters": read_parameters(params, params_json)})
    note(f"saved {form} of {deployment}")


@group.command("delete-form")
@click.argument("deployment")
@click.argument("form")
def delete_form(deployment: str, form: str) -> None:
    """Delete FORM of DEPLOYMENT."""
    client = Client.from_settings()
    client.delete(f"deployments/{deployment_id(client, deployment)}/forms/{quote(form, safe='')}")
    note(f"deleted {form} of {deployment}")


@group.command()
@click.argument("deployment")
@click.argument("form")
@output_option
def run(deployment: str, form: str, output: str) -> None:
    """Start a run of DEPLOYMENT with its saved FORM."""
    client = Client.from_settings()
    path = f"deployments/{deployment_id(client, deployment)}/forms/{quote(form, safe='')}/runs"
    facts = client.post(path, {})
    note(f"run {facts['name']} ({facts['id']}) of {deployment}: {facts['state']['name']}")
    if output == "json":
        emit(facts, output)


def _find(client: Client, thing: str) -> dict[str, Any]:
    named = [item for item in client.get("desk")["items"] if thing in (item["id"], item["of"], item["name"])]
    if len(named) > 1:
        raise Conflict(f"several things on your desk are named {thing!r}: {', '.join(item['id'] for item in named)}")
    if not named:
        raise NotFound(f"there is no {thing!r} on your desk; `orchestrator desk ls` lists what is")
    found: dict[str, Any] = named[0]
    return found
