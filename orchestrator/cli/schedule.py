"""``orchestrator schedule``: when deployments run by themselves."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import quote

import click

from .. import clock
from ..client import Client
from ..timing import plans
from ..timing.calendars import BUILT_IN, Calendar
from ..timing.calendars import read as read_calendar
from .output import confirm, emit, limit_option, note, output_option, yes_option
from .references import deployment_id
from .times import INSTANT, local_text
from .values import read_parameters


@click.group()
def group() -> None:
    """Preview and manage the schedules of deployments."""


def _fields(function: Any) -> Any:
    """The options of a schedule's rule and bounds."""
    for option in reversed(
        (
            click.option("--cron", metavar="TEXT", help="Such as '30 2 * * *' or '@daily'."),
            click.option("--day-and", is_flag=True, help="cron: day of month and day of week must both fit."),
            click.option("--interval", metavar="DURATION", help="Seconds, or such as 90s, 5m, 1h30m, 2d."),
            click.option("--rrule", metavar="TEXT", help="Such as 'FREQ=WEEKLY;BYDAY=MO;BYHOUR=9'."),
            click.option("--anchor", metavar="TIME", help="interval, rrule: the time that fixes the phase."),
            click.option("--timezone", metavar="ZONE", help="IANA name of the time zone; UTC when not given."),
            click.option("--start", metavar="TIME", help="The first time at which it may fire."),
            click.option("--end", metavar="TIME", help="The last one."),
            click.option("--calendar", metavar="NAME", help="It fires on this calendar's days; see `calendar ls`."),
            click.option("--skip", "skip_dates", multiple=True, metavar="DATE", help="Not on 2026-12-25, or 12-25."),
        )
    ):
        function = option(function)
    return function


def _policies(function: Any) -> Any:
    """The options of how a schedule is gone by."""
    overlaps = click.Choice([item.value for item in plans.Overlap])
    for option in reversed(
        (
            click.option("--slug", metavar="NAME", help="What it is called within its deployment."),
            click.option("--param", "parameters", multiple=True, metavar="KEY=VALUE", help="Laid over its others."),
            click.option("--jitter", metavar="DURATION", help="Runs begin up to so much later than their slots."),
            click.option("--catch-up", metavar="POLICY", help="Missed slots: latest, none, all, or as late as 6h."),
            click.option("--overlap", type=overlaps, help="What a slot becomes while an earlier run goes on."),
            click.option("--pause-on-failure/--go-on", default=None, help="Stop after a run that failed."),
            click.option("--note", metavar="TEXT", help="What people should know of it."),
        )
    ):
        function = option(function)
    return function


@group.command()
@_fields
@click.option("--after", type=INSTANT, default="now", show_default=True, help="Only later times.")
@click.option("-n", "number", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many times.")
@output_option
def preview(after: datetime, number: int, output: str, **options: Any) -> None:
    """Show when a schedule would fire. Needs no server, unless a calendar is named.

    With `--output json`: the instants in UTC, as one list.
    """
    plan = plans.read(_given(options))
    times = plans.slots(plan, _days(plan.calendar), after, number)
    if output == "json":
        emit([clock.to_text(instant) for instant in times], output)
        return
    zone = plan.rule.timezone
    rows = [{"utc": f"{at:%Y-%m-%d %H:%M:%S}", "local": _in_zone(at, zone)} for at in times]
    emit(rows, columns={"utc": "UTC", "local": zone}, empty="It never fires after that.")


@group.command()
@click.argument("deployment", metavar="FLOW/NAME")
@_fields
@_policies
@output_option
def create(deployment: str, output: str, **options: Any) -> None:
    """Give a deployment one more schedule."""
    body = _body(options)
    plans.read({key: value for key, value in body.items() if key in plans.ALL_FIELDS})
    client = Client.from_settings()
    made = client.post(f"deployments/{deployment_id(client, deployment)}/schedules", body)
    note(f"{deployment} has the schedule {made['slug']} ({made['id']})")
    _show(made, output)


@group.command()
@click.argument("schedule", type=click.UUID, metavar="ID")
@_fields
@_policies
@output_option
def update(schedule: str, output: str, **options: Any) -> None:
    """Change a schedule: what is given, and nothing else. Runs that it made ahead are made anew."""
    body = _body(options)
    if not body:
        raise click.UsageError("say what to change, such as --cron '0 6 * * *' or --overlap skip")
    changed = Client.from_settings().patch(f"schedules/{schedule}", body)
    note(f"{schedule} is changed")
    _show(changed, output)


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
@click.option("--note", "why", metavar="TEXT", help="Why, for whoever wonders.")
def pause(schedule: str, why: str | None) -> None:
    """Let a schedule make no more runs; those it has made ahead are removed."""
    Client.from_settings().patch(f"schedules/{schedule}", {"active": False, **({} if why is None else {"note": why})})
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


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """What was given of a schedule, as a document has it."""
    found = {name: value for name, value in options.items() if value not in (None, ()) and name != "day_and"}
    if "skip_dates" in found:
        found["skip_dates"] = list(found["skip_dates"])
    return {**found, **({"day_or": False} if options.get("day_and") else {})}


def _body(options: dict[str, Any]) -> dict[str, Any]:
    found = _given(options)
    if "parameters" in found:
        found["parameters"] = read_parameters(found["parameters"], None)
    return found


def _days(calendar: str) -> Calendar:
    if not calendar or calendar in BUILT_IN:
        return BUILT_IN[calendar or "every-day"]
    return read_calendar(Client.from_settings().get(f"calendars/{quote(calendar, safe='')}"))


def _show(schedule: dict[str, Any], output: str) -> None:
    if output == "json":
        emit(schedule, output)


def _in_zone(instant: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo

    return f"{instant.astimezone(ZoneInfo(zone)):%a %Y-%m-%d %H:%M:%S %Z}"


def _row(schedule: dict[str, Any]) -> dict[str, Any]:
    rule = schedule["cron"] or schedule["rrule"] or f"every {schedule['interval']:g} s"
    upcoming = schedule.get("next") or []
    return {**schedule, "rule": rule, "next": local_text(upcoming[0]) if upcoming else None}
