"""Reads the data files of the project."""

from __future__ import annotations

import csv
from pathlib import Path

from orchestrator import get_run_logger, task

DATA = Path(__file__).resolve().parent.parent / "data"

Row = dict[str, str]


@task
def read_airports() -> dict[str, Row]:
    """The airports, by their IATA code."""
    with (DATA / "airports.csv").open(newline="", encoding="utf-8") as file:
        return {row["iata"]: row for row in csv.DictReader(file)}


@task(retries=2, retry_delay_seconds=0.5)
def read_flights(outage: Path | None) -> list[Row]:
    """All flights, as they stand in the file.

    Args:
        outage: Where to note that the first try has failed already; None: no try is made to fail. A real source fails
            now and then by itself; this one is a file, so the outage is made up.
    """
    if outage is not None and not outage.exists():
        outage.touch()
        raise ConnectionError("the file server did not answer (made up, see simulate_outage)")
    with (DATA / "flight_delays.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    get_run_logger().info("read %d flights", len(rows))
    return rows
