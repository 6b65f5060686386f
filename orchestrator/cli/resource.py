"""``orchestrator resource``: whatever moves in the stack."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..clock import to_text
from .output import confirm, emit, emit_eta, limit_option, note, output_option, yes_option
from .times import INSTANT

_COLUMNS = {
    "id": "Resource", "kind": "Kind", "name": "Name", "state": "State", "owner": "Owner", "source": "Found by",
    "last_seen": "Seen",
}  # fmt: skip
_RULE_COLUMNS = {"pattern": "Pattern", "action": "Action", "into": "Into", "updated": "Changed"}


@click.group()
def group() -> None:
    """Look at resources: what moves in the stack, such as buckets, tables and deployments. RESOURCE is an id."""


@group.command("ls")
@click.option("--kind", metavar="KIND", help="Only this kind, or kinds beginning so: s3.*")
@click.option("--name", metavar="TEXT", help="Only those whose name holds this.")
@click.option("--source", metavar="BLOCK", help="Only those that this block found.")
@click.option("--vanished", is_flag=True, help="Those that vanished in place of those that are there.")
@click.option("--state", metavar="STATE", help="Only those in this state, such as failing.")
@click.option("--owner", metavar="TEXT", help="Only those of this owner.")
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Only those with this label; repeatable.")
@click.option("--as-of", type=INSTANT, metavar="TIME", help="Those that were there then, as they were: -2h.")
@limit_option
@output_option
def listing(labels: tuple[str, ...], as_of: datetime | None, limit: int, output: str, **wanted: Any) -> None:
    """List resources."""
    params = {**wanted, "label": list(labels), "as_of": to_text(as_of) if as_of else None, "limit": min(limit, 200)}
    found = list(islice(Client.from_settings().pages("resources", params), limit))
    emit(found, output, columns=_COLUMNS, empty="No resource fits; `orchestrator block discover BLOCK` looks for some.")


@group.command()
@click.argument("resource")
@click.option("--as-of", type=INSTANT, metavar="TIME", help="Its relations and states until then: -2h.")
@output_option
def inspect(resource: str, as_of: datetime | None, output: str) -> None:
    """Show one resource with its relations, and the states it was in."""
    client, then = Client.from_settings(), to_text(as_of) if as_of else None
    facts = client.get(_path(resource))
    relations = list(islice(client.pages("relations", {"resource": resource, "as_of": then, "limit": 200}), 1000))
    states = list(islice(client.pages(f"{_path(resource)}/states", {"limit": 200}), 200))
    if then is not None:
        states = [item for item in states if item["since"] <= then]
        facts["state"] = states[0]["state"] if states else "unknown"
        facts["state_since"] = states[0]["since"] if states else None
    emit({**facts, "relations": relations, "states": states}, output)


@group.command()
@click.argument("resource")
@click.option("--timezone", default="UTC", show_default=True, help="Zone of the times.")
@output_option
def eta(resource: str, timezone: str, output: str) -> None:
    """Say when RESOURCE will be fresh next and why late, learned from what was; of a deployment: when it is done."""
    found = Client.from_settings().get(f"{_path(resource)}/eta", {"timezone": timezone})
    emit_eta(found, output)


@group.command("set")
@click.argument("resource")
@click.option("--owner", metavar="TEXT", help="Who answers for it; an empty text: nobody.")
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option(
    "--label", "labels", multiple=True, metavar="NAME=VALUE", help="A label; repeatable. NAME= takes it away."
)
@output_option
def change(resource: str, owner: str | None, description: str | None, labels: tuple[str, ...], output: str) -> None:
    """Set owner, description or labels of a resource."""
    body: dict[str, Any] = {"owner": owner, "description": description}
    body = {name: value for name, value in body.items() if value is not None}
    if labels:
        pairs = [text.partition("=") for text in labels]
        if wrong := [text for text, (name, sign, _) in zip(labels, pairs, strict=True) if not name or not sign]:
            raise click.BadParameter(f"{wrong[0]!r} is not NAME=VALUE", param_hint="--label")
        body["labels"] = {name: value or None for name, _, value in pairs}
    if not body:
        raise click.UsageError("say what to set: --owner, --description or --label")
    facts = Client.from_settings().patch(_path(resource), body)
    note(f"{resource} is changed")
    if output == "json":
        emit(facts, output)


@group.command()
@click.argument("resource")
@click.argument("into")
@yes_option
def merge(resource: str, into: str, yes: bool) -> None:
    """Say that RESOURCE is INTO by another name: its relations and states move there, and events follow."""
    confirm(f"Merge {resource} into {into}? It cannot be taken apart again.", yes)
    Client.from_settings().post(f"{_path(resource)}/merge", {"into": into})
    note(f"{resource} is {into} from now on")


@group.command()
@click.argument("pattern")
@click.option("--into", metavar="RESOURCE", help="Merge them into this resource in place of leaving them out.")
def ignore(pattern: str, into: str | None) -> None:
    """Leave out resources whose id is PATTERN, in which * stands for anything: 'tmp.*'."""
    Client.from_settings().post("resource-rules", {"pattern": pattern, "into": into})
    note(f"{pattern}: {f'merged into {into}' if into else 'left out'} from now on")


@group.command()
@limit_option
@output_option
def rules(limit: int, output: str) -> None:
    """List the rules by which resources are left out and merged."""
    found = list(islice(Client.from_settings().pages("resource-rules", {"limit": min(limit, 200)}), limit))
    emit(found, output, columns=_RULE_COLUMNS, empty="There is no rule; `orchestrator resource ignore` makes one.")


@group.command("delete-rule")
@click.argument("pattern")
def delete_rule(pattern: str) -> None:
    """Delete the rule with this PATTERN; what it did stays done."""
    client = Client.from_settings()
    found = next((item for item in client.pages("resource-rules", {"limit": 200}) if item["pattern"] == pattern), None)
    if found is None:
        raise click.BadParameter(f"there is no rule {pattern}; `orchestrator resource rules` lists them")
    client.delete(f"resource-rules/{found['id']}")
    note(f"the rule {pattern} is deleted")


def _path(resource: str) -> str:
    return f"resources/{quote(resource, safe='')}"
