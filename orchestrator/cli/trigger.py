"""``orchestrator trigger``: what to wait for among events, and what to do then."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from ..client import Client
from ..clock import duration, now, to_text
from ..projects import trigger_documents
from .lists import delete_all
from .output import emit, limit_option, note, output_option, yes_option
from .times import INSTANT

_COLUMNS = {
    "name": "Trigger", "standing": "Standing", "severity": "Severity", "owner": "Owner",
    "deployment.name": "Deployment",
    "sentence": "What it says",
}  # fmt: skip
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def group() -> None:
    """Say what to do when events happen, or fail to.

    TRIGGER is a name, FLOW/DEPLOYMENT/NAME of one that a deployment owns, or an id. FILE is YAML; it may hold several
    triggers, divided by `---`.
    """


@group.command()
@click.argument("file", type=_FILE)
@click.option("--replace", is_flag=True, help="Where there is one of that name, make it like this.")
@output_option
def create(file: Path, replace: bool, output: str) -> None:
    """Make the triggers of FILE."""
    documents = trigger_documents.read_file(file)
    client = Client.from_settings()
    made = []
    for document in documents:
        made.append(client.put("triggers", document) if replace else client.post("triggers", document))
        note(f"{made[-1]['name']}: {made[-1]['sentence']}")
    if output == "json":
        emit(made, output)


@group.command("ls")
@click.option("--name", metavar="TEXT", help="Only those whose name holds this.")
@click.option("--owner", help="Only those of this owner.")
@click.option("--severity", type=click.Choice(["info", "warning", "critical"]), help="Only those as grave.")
@click.option("--standing", type=click.Choice(["armed", "firing", "muted", "off"]), help="Only those that stand so.")
@limit_option
@output_option
def listing(limit: int, output: str, **wanted: Any) -> None:
    """List triggers."""
    wanted["limit"] = min(limit, 200)
    found = list(islice(Client.from_settings().pages("triggers", wanted), limit))
    emit(found, output, columns=_COLUMNS, empty="There is none; `orchestrator trigger create FILE` makes one.")


@group.command()
@click.argument("trigger")
@output_option
def inspect(trigger: str, output: str) -> None:
    """Show a trigger whole."""
    emit(Client.from_settings().get(_path(trigger)), output)


@group.command()
@click.argument("trigger")
@click.argument("file", type=_FILE)
@output_option
def update(trigger: str, file: Path, output: str) -> None:
    """Replace the parts of a trigger that FILE gives; it begins anew when `when` is another."""
    facts = Client.from_settings().patch(_path(trigger), trigger_documents.read_one(file))
    note(f"{facts['name']}: {facts['sentence']}")
    if output == "json":
        emit(facts, output)


@group.command()
@click.argument("triggers", nargs=-1, required=True, metavar="TRIGGER...")
@yes_option
def delete(triggers: tuple[str, ...], yes: bool) -> None:
    """Delete triggers, and the record of their firings."""
    delete_all(triggers, _path, yes)


@group.command()
@click.argument("trigger")
def enable(trigger: str) -> None:
    """Switch a trigger on; it begins anew."""
    Client.from_settings().patch(_path(trigger), {"active": True})
    note(f"{trigger} is on")


@group.command()
@click.argument("trigger")
def disable(trigger: str) -> None:
    """Switch a trigger off; it forgets what it was waiting for."""
    Client.from_settings().patch(_path(trigger), {"active": False})
    note(f"{trigger} is off")


@group.command()
@click.argument("trigger")
@click.option("--until", type=INSTANT, metavar="TIME", help="For example +2h, or 2026-01-31T09:00:00Z.")
@click.option("--off", is_flag=True, help="Have it do things again.")
def mute(trigger: str, until: datetime | None, off: bool) -> None:
    """Have a trigger do nothing for a while; its firings are noted as suppressed."""
    if (until is None) != off:
        raise click.UsageError("give either --until TIME or --off")
    client = Client.from_settings()
    found = client.get(_path(trigger))
    client.post(f"triggers/{found['id']}/mute", {"until": None if until is None else to_text(until)})
    note(f"{trigger} does things again" if until is None else f"{trigger} is muted until {to_text(until)}")


@group.command()
@click.argument("file", type=_FILE)
@click.option(
    "--since",
    default="7d",
    show_default=True,
    metavar="TIME",
    help="Where history begins: 7d, or a time.",
    callback=lambda context, option, value: _since(value, context, option),
)
@output_option
def test(file: Path, since: datetime, output: str) -> None:
    """Replay history: when would the trigger of FILE have fired? Nothing is stored or done.

    \b
    orchestrator trigger test late-orders.yaml --since 7d
    """
    body = {"document": trigger_documents.read_one(file), "since": to_text(since)}
    replay = Client.from_settings().post("triggers/test", body)
    if output == "json":
        emit(replay, output)
        return
    note(replay["sentence"])
    columns = {"at": "At", "key": "Key", "reason": "Why", "suppressed": "Suppressed", "resolved": "Over"}
    emit(replay["firings"], columns=columns, empty="It would not have fired.")
    note(f"{replay['fired']} firings; {replay['matching']} of {replay['events']} events counted")
    if replay["is_cut"]:
        note(f"there is more than one test looks at: it ends at {replay['until']}")


@group.command()
@click.argument("trigger")
@click.argument("event", metavar="EVENT_ID")
@output_option
def explain(trigger: str, event: str, output: str) -> None:
    """Say whether an event counts for a trigger, and what decides it."""
    client = Client.from_settings()
    found = client.get(_path(trigger))
    told = client.post(f"triggers/{found['id']}/explain", {"event_id": event})
    if output == "json":
        emit(told, output)
        return
    rows = [{"ok": "yes" if item["ok"] else "no", "what": item["what"]} for item in told["verdicts"]]
    emit(rows, columns={"ok": "Fits", "what": "What was looked at"})
    note("the event counts" if told["counts"] else "the event does not count")


@group.command()
@click.argument("trigger")
@limit_option
@output_option
def keys(trigger: str, limit: int, output: str) -> None:
    """Show what a trigger remembers, for each key that it is evaluated for."""
    client = Client.from_settings()
    found = client.get(_path(trigger))
    rows = list(islice(client.pages(f"triggers/{found['id']}/keys", {"limit": min(limit, 200)}), limit))
    columns = {"key": "Key", "text": "Where it stands", "since": "Since", "deadline": "The clock decides"}
    emit(rows, output, columns=columns, empty="It remembers nothing: only the next event counts.")


def _since(text: str, context: click.Context, option: click.Parameter) -> datetime:
    try:
        return now() - duration(text)
    except (ValueError, OverflowError):
        found: datetime = INSTANT.convert(text, option, context)
        return found


def _path(ref: str) -> str:
    parts = ref.split("/", 2)
    return "triggers/" + "/".join(quote(part, safe="") for part in (parts if len(parts) == 3 else [ref]))
