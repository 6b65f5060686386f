"""Computes the delays of each destination and publishes them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from orchestrator import create_markdown_artifact, flow, task

QUERY = """
    SELECT airport.code, airport.city, airport.state, count(*) AS flights,
           round(avg(arrival_delay), 1) AS mean_delay, max(arrival_delay) AS worst_delay
    FROM flight JOIN airport ON airport.code = flight.destination
    GROUP BY airport.code HAVING count(*) >= ?
    ORDER BY avg(arrival_delay) DESC, airport.code
"""


@task
def query_delays(database: Path, minimum_flights: int) -> list[dict[str, Any]]:
    """Delays at arrival of each destination with enough flights, the worst first, in minutes."""
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(QUERY, (minimum_flights,))]


@task
def publish(rows: list[dict[str, Any]]) -> None:
    """Publish the table as markdown."""
    lines = ["| Airport | City | State | Flights | Mean delay (min) | Worst delay (min) |", "|---|---|---|--:|--:|--:|"]
    lines += [f"| {' | '.join(str(value) for value in row.values())} |" for row in rows]
    create_markdown_artifact(
        "\n".join(lines), key="delays-per-airport", description="Delays at arrival of flights from New York, 2013"
    )


@flow
def delays_per_airport(
    database: Path = Path("flights.sqlite"), minimum_flights: int = 20, states: list[str] | None = None
) -> dict[str, Any]:
    """Publish the delays at arrival of each destination; returns how many there are and the three worst.

    Args:
        database: The SQLite file that holds the flights.
        minimum_flights: Destinations with fewer flights are left out.
        states: Only destinations in these states; all when not given.
    """
    rows = [row for row in query_delays(database, minimum_flights) if not states or row["state"] in states]
    publish(rows)
    return {"airports": len(rows), "longest_delays": [row["code"] for row in rows[:3]]}
