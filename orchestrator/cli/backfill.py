"""``orchestrator backfill``: runs for slots that lie behind."""

from __future__ import annotations

import re
from itertools import islice
from typing import Any

import click

from ..client import Client
from ..clock import to_text
from ..documents.backfills import Reprocess
from .output import confirm, emit, limit_option, note, output_option, yes_option
from .references import deployment_id
from .times import INSTANT, local_text
from .values import read_parameters

_COLUMNS = {"id": "ID", "schedule": "Schedule", "start": "From", "end": "To", "status": "Status", "runs": "Runs"}


@click.group()
def group() -> None:
    """Run slots of a schedule that lie behind, a few at a time."""


@group.command()
@click.argument("deployment", metavar="FLOW/NAME")
@click.option(
    "--from", "start", required=True, metavar="TIME", help="The first slot: a date in its time zone, or a time."
)
@click.option("--to", "end", metavar="TIME", help="The last one, a date included; now when not given.")
@click.option("--schedule", metavar="SLUG", help="Whose slots; may be left out where there is one schedule.")
@click.option("--param", "parameters", multiple=True, metavar="KEY=VALUE", help="Such as day='{{ slot:%Y-%m-%d }}'.")
@click.option("--max-active", type=click.IntRange(1), default=1, show_default=True, help="Most runs at once.")
@click.option("--backwards", is_flag=True, help="The latest slot first.")
@click.option(
    "--reprocess",
    type=click.Choice([item.value for item in Reprocess]),
    default="none",
    show_default=True,
    help="Slots that have runs and get another one.",
)
@click.option("--dry-run", is_flag=True, help="Only show what it would do.")
@output_option
def create(
    deployment: str,
    start: str,
    end: str | None,
    schedule: str | None,
    parameters: tuple[str, ...],
    max_active: int,
    backwards: bool,
    reprocess: str,
    dry_run: bool,
    output: str,
) -> None:
    """Make a run for each slot of a schedule in a range that has none."""
    body: dict[str, Any] = {
        "start": _bound(start),
        "end": _bound(end) if end else None,
        "schedule": schedule,
        "parameters": read_parameters(parameters, None),
        "max_active": max_active,
        "backwards": backwards,
        "reprocess": reprocess,
    }
    client = Client.from_settings()
    path = f"deployments/{deployment_id(client, deployment)}/backfills"
    if dry_run:
        _show_plan(client.post(f"{path}/preview", body), output)
        return
    made = client.post(path, body)
    note(f"{deployment}: backfill {made['id']} has {made['total']} runs, at most {made['max_active']} at once")
    if output == "json":
        emit(made, output)


@group.command("ls")
@click.option("--deployment", metavar="FLOW/NAME", help="Only backfills of this deployment.")
@limit_option
@output_option
def listing(deployment: str | None, limit: int, output: str) -> None:
    """List backfills, newest first."""
    client = Client.from_settings()
    params: dict[str, Any] = {"limit": min(limit, 200)}
    if deployment:
        params["deployment_id"] = deployment_id(client, deployment)
    found = list(islice(client.pages("backfills", params), limit))
    emit(found if output == "json" else [_row(item) for item in found], output, columns=_COLUMNS,
         empty="There is no backfill.")  # fmt: skip


@group.command()
@click.argument("backfill", type=click.UUID, metavar="ID")
@output_option
def inspect(backfill: str, output: str) -> None:
    """Show a backfill, and how far it is."""
    emit(Client.from_settings().get(f"backfills/{backfill}"), output)


@group.command()
@click.argument("backfill", type=click.UUID, metavar="ID")
@yes_option
def cancel(backfill: str, yes: bool) -> None:
    """Cancel a backfill as a whole: the runs that wait, and those that go on."""
    confirm(f"Cancel all runs of the backfill {backfill} that have not ended?", yes)
    found = Client.from_settings().post(f"backfills/{backfill}/cancel")
    note(f"{backfill}: cancelled, {_runs(found)}")


def _bound(text: str) -> str:
    """A date as it stands; whatever else is a time, such as ``-3d``, as an instant."""
    return text if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else to_text(INSTANT.convert(text, None, None))


def _show_plan(plan: dict[str, Any], output: str) -> None:
    if output == "json":
        emit(plan, output)
        return
    emit([{"slot": local_text(slot)} for slot in plan["slots"]], columns={"slot": "Slot"}, empty="All slots have runs.")
    note(f"{plan['count']} runs of schedule {plan['schedule']}; {plan['skipped']} slots have runs already")


def _row(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, "start": local_text(item["start"]), "end": local_text(item["end"]), "runs": _runs(item)}


def _runs(item: dict[str, Any]) -> str:
    return ", ".join(f"{number} {kind}" for kind, number in sorted(item["counts"].items()))
