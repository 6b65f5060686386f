"""``orchestrator schedule``: when deployments run by themselves."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

import click

from .. import clock
from ..client import Client
from ..timing import schedules
from .output import confirm, emit, limit_option, note, output_option, yes_option
from .references import deployment_id
from .times import INSTANT, local_text


@click.group()
def group() -> None:
    """Preview and manage the schedules of deployments."""


@group.command()
@click.option("--cron", metavar="TEXT", help="Such as '30 2 * * *' or '@daily'.")
@click.option("--day-and", is_flag=True, help="cron: day of month and day of week must both fit.")
@click.option("--interval", metavar="DURATION", help="Seconds, or such as 90s, 5m, 1h30m, 2d.")
@click.option("--rrule", metavar="TEXT", help="Such as 'FREQ=WEEKLY;BYDAY=MO;BYHOUR=9'.")
@click.option("--anchor", metavar="TIME", help="interval, rrule: the time that fixes the phase.")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="IANA name of the time zone.")
@click.option("--after", type=INSTANT, default="now", show_default=True, help="Only later times.")
@click.option("-n", "number", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many times.")
@output_option
def preview(after: datetime, number: int, output: str, day_and: bool, **fields: Any) -> None:
    """Show when a schedule would fire. Needs no server.

    With `--output json`: the instants in UTC, as one list.
    """
    spec = schedules.parse({**fields, "day_or": not day_and})
    times = schedules.next_times(spec, after, number)
    if output == "json":
        emit([clock.to_text(instant) for instant in times], output)
        return
    rows = [{"utc": f"{at:%Y-%m-%d %H:%M:%S}", "local": _in_zone(at, spec.timezone)} for at in times]
    emit(rows, columns={"utc": "UTC", "local": spec.timezone}, empty="It never fires after that.")


@group.command("ls")
@click.option("--deployment", metavar="FLOW/NAME", help="Only schedules of this deployment.")
@limit_option
@output_option
def listing(deployment: str | None, limit: int, output: str) -> None:
    """List schedules with the times they fire next."""
    client = Client.from_settings()
    params: dict[str, Any] = {"limit": min(limit, 200)}
    if deployment:
        params["deployment_id"] = deployment_id(client, deployment)
    found = list(islice(client.pages("schedules", params), limit))
    if output == "json":
        emit(found, output)
        return
    columns = {"id": "ID", "slug": "Slug", "rule": "Rule", "timezone": "Zone", "active": "Active", "next": "Next"}
    emit([_row(schedule) for schedule in found], columns=columns, empty="There is no schedule.")


@group.command()
@click.argument("schedule", type=click.UUID, metavar="ID")
def pause(schedule: str) -> None:
    """Let a schedule make no more runs; those it has made ahead are removed."""
    Client.from_settings().patch(f"schedules/{schedule}", {"active": False})
    note(f"{schedule}: paused")


@group.command()
@click.argument("schedule", type=click.UUID, metavar="ID")
def resume(schedule: str) -> None:
    """Let a schedule make runs again."""
    Client.from_settings().patch(f"schedules/{schedule}", {"active": True})
    note(f"{schedule}: resumed")


@group.command()
@click.argument("schedule", type=click.UUID, metavar="ID")
@yes_option
def delete(schedule: str, yes: bool) -> None:
    """Delete a schedule with the runs it has made ahead."""
    confirm(f"Delete the schedule {schedule}?", yes)
    Client.from_settings().delete(f"schedules/{schedule}")
    note(f"deleted {schedule}")


def _in_zone(instant: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %Z}"


def _row(schedule: dict[str, Any]) -> dict[str, Any]:
    rule = schedule["cron"] or schedule["rrule"] or f"every {schedule['interval']:g} s"
    upcoming = schedule.get("next") or []
    return {**schedule, "rule": rule, "next": local_text(upcoming[0]) if upcoming else None}
