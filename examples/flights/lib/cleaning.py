"""Turns rows of text into flights that can be counted on."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from orchestrator import get_run_logger, task

from .source import Row


@dataclass(frozen=True)
class Flight:
    """One flight that took place; delays are in minutes, early ones negative."""

    date: str
    carrier: str
    number: int
    origin: str
    destination: str
    departure_delay: int
    arrival_delay: int


@task
def split_by_month(rows: list[Row]) -> list[list[Row]]:
    """The rows of each month that has any, in order."""
    months: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        months[int(row["month"])].append(row)
    return [months[month] for month in sorted(months)]


@task
def clean_month(rows: list[Row], airports: dict[str, Row]) -> list[Flight]:
    """The flights of a month that took place, each once, between airports that are known."""
    flights = {_flight(row) for row in rows if "NA" not in row.values() and row["dest"] in airports}
    get_run_logger().info("kept %d of %d flights of month %s", len(flights), len(rows), rows[0]["month"])
    return sorted(flights, key=lambda flight: (flight.date, flight.carrier, flight.number))


def _flight(row: Row) -> Flight:
    return Flight(
        date=f"{int(row['year']):04}-{int(row['month']):02}-{int(row['day']):02}",
        carrier=row["carrier"],
        number=int(row["flight"]),
        origin=row["origin"],
        destination=row["dest"],
        departure_delay=int(row["dep_delay"]),
        arrival_delay=int(row["arr_delay"]),
    )
