"""``orchestrator hold``: have what touches a resource wait."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice
from typing import Any

import click

from ..client import Client
from ..clock import duration, now, to_text
from ..triggers.matching import selector_text
from .output import emit, limit_option, note, output_option

_COLUMNS = {"id": "ID", "on": "On", "how": "How", "reason": "Reason", "until": "Until", "held": "Deployments"}


@click.group()
def group() -> None:
    """Hold resources: nothing that touches one starts, or little, or later, until it is released."""


@group.command()
@click.argument("resource", required=False)
@click.option("--label", "labels", multiple=True, metavar="NAME=PATTERN", help="A label of the resources; repeatable.")
@click.option("--limit", "slots", type=click.IntRange(0), metavar="N", help="Let N runs go on at once.")
@click.option("--delay", metavar="DURATION", help="Let runs start later, for example by 10m.")
@click.option("--reason", required=True, help="What people are told who ask why their run waits.")
@click.option("--for", "lasts", metavar="DURATION", help="Release it after this time, for example 2h.")
@click.option("--until", metavar="TIME", help="Release it at a time, such as 2026-01-31T09:00:00Z.")
@click.option("--until-event", metavar="EVENT", help="Release it by an event, such as 'soda.check.passed'.")
@click.option("--until-resource", metavar="PATTERN", help="... of this resource only.")
@output_option
def place(resource: str | None, labels: tuple[str, ...], output: str, **options: Any) -> None:
    """Hold RESOURCE, an id or a pattern of ids. Without --limit and --delay nothing that touches it starts."""
    made = Client.from_settings().post("holds", {"match": _match(resource, labels), **_wanted(options)})
    waiting = ", ".join(item["name"] for item in made["deployments"]) or "no deployment touches it now"
    note(f"placed hold {made['id']}; it holds: {waiting}")
    if output == "json":
        emit(made, output)


@group.command()
@click.argument("resource", required=False)
@click.option("--label", "labels", multiple=True, metavar="NAME=PATTERN", help="A label of the resources; repeatable.")
@output_option
def preview(resource: str | None, labels: tuple[str, ...], output: str) -> None:
    """Say which deployments a hold on RESOURCE would hold, and hold nothing."""
    found = Client.from_settings().post("holds/preview", {"match": _match(resource, labels)})
    if output == "table":
        note(f"it would be on {found['number']} resource{'' if found['number'] == 1 else 's'}")
    columns = {"name": "Deployment", "waiting": "Runs due"}
    shown = found if output == "json" else found["deployments"]
    emit(shown, output, columns=columns, empty="No deployment touches it now.")


@group.command("ls")
@click.option("--all", "everything", is_flag=True, help="Also those that were released.")
@limit_option
@output_option
def listing(everything: bool, limit: int, output: str) -> None:
    """List the holds in force."""
    wanted = {"in_force": None if everything else "true", "limit": min(limit, 200)}
    found = list(islice(Client.from_settings().pages("holds", wanted), limit))
    shown = found if output == "json" else [_row(item) for item in found]
    emit(shown, output, columns=_COLUMNS, empty="Nothing is held; `orchestrator hold place` holds something.")


@group.command()
@click.argument("hold")
@output_option
def inspect(hold: str, output: str) -> None:
    """Show a hold and the deployments that wait for it."""
    emit(Client.from_settings().get(f"holds/{hold}"), output)


@group.command()
@click.argument("holds", nargs=-1, required=True, metavar="HOLD...")
@click.option("--reason", default="by hand", help="Why; it is kept with the hold.")
def release(holds: tuple[str, ...], reason: str) -> None:
    """Release holds: what waited for them starts."""
    client = Client.from_settings()
    for hold in holds:
        client.post(f"holds/{hold}/release", {"reason": reason})
        note(f"released {hold}")


def _match(resource: str | None, labels: tuple[str, ...]) -> dict[str, Any]:
    match: dict[str, Any] = {"resource.id": resource} if resource else {}
    for pair in labels:
        name, sign, pattern = pair.partition("=")
        if not sign:
            raise click.BadParameter(f"{pair!r} is not NAME=PATTERN", param_hint="--label")
        match[name] = pattern
    if not match:
        raise click.UsageError("name what is held: a RESOURCE, or --label NAME=PATTERN")
    return match


def _wanted(options: dict[str, Any]) -> dict[str, Any]:
    if options["slots"] is not None and options["delay"]:
        raise click.UsageError("a hold has a --limit or a --delay, not both")
    if options["lasts"] and options["until"]:
        raise click.UsageError("give --for or --until, not both")
    if options["until_resource"] and not options["until_event"]:
        raise click.UsageError("--until-resource goes with --until-event")
    wanted: dict[str, Any] = {"kind": "stop", "reason": options["reason"], "until": options["until"]}
    if options["lasts"]:
        wanted["until"] = to_text(now() + _lasting(options["lasts"], "--for"))
    if options["slots"] is not None:
        wanted.update(kind="limit", slots=options["slots"])
    if options["delay"]:
        wanted.update(kind="delay", delay_s=_lasting(options["delay"], "--delay").total_seconds())
    if options["until_event"]:
        match = {"resource.id": options["until_resource"]} if options["until_resource"] else {}
        wanted["until_event"] = {"event": options["until_event"], "match": match}
    return wanted


def _row(hold: dict[str, Any]) -> dict[str, Any]:
    how = {"stop": "stop", "limit": f"at most {hold['slots']}", "delay": f"{hold['delay_s']} s later"}[hold["kind"]]
    return {
        **hold,
        "on": selector_text(hold["match"]),
        "how": f"released ({hold['release_reason']})" if hold["released"] else how,
        "until": hold["until"] or (hold["until_event"] or {}).get("event") or "-",
        "held": ", ".join(item["name"] for item in hold["deployments"]) or "-",
    }


def _lasting(text: str, option: str) -> timedelta:
    try:
        return duration(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no duration: write 90s, 5m, 1h30m, 2d", param_hint=option) from None
