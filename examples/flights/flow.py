"""Delays of flights from New York: read, clean, load, report. The README beside this file tells more."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from lib.cleaning import clean_month, split_by_month
from lib.loading import load
from lib.report import delays_per_airport
from lib.source import read_airports, read_flights

from orchestrator import flow, get_run_logger, unmapped


@flow
def flight_delays(
    database: Path = Path("flights.sqlite"),
    minimum_flights: int = 20,
    states: list[str] | None = None,
    simulate_outage: bool = True,
) -> dict[str, Any]:
    """Load a year of flights into SQLite and report the delays of each destination.

    Args:
        database: The SQLite file to write, relative to the folder of the run.
        minimum_flights: Destinations with fewer flights are left out.
        states: Only destinations in these states, such as CA; all when not given.
        simulate_outage: Let the first try to read the flights fail, so that a retry can be seen.
    """
    airports = read_airports()
    with tempfile.TemporaryDirectory() as folder:
        flights = read_flights(Path(folder, "outage") if simulate_outage else None)
    months = clean_month.map(split_by_month(flights), unmapped(airports))
    count = load(database, airports, [month.result() for month in months])
    delays = delays_per_airport(database, minimum_flights, states)
    get_run_logger().info("%d flights; the longest delays are at %s", count, ", ".join(delays["longest_delays"]))
    return {"flights": count, **delays}


if __name__ == "__main__":
    print(flight_delays())
