"""Loads airports and flights into an SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import astuple
from pathlib import Path

from orchestrator import get_run_logger, task

from .cleaning import Flight
from .source import Row

STATEMENTS = (
    "DROP TABLE IF EXISTS flight",
    "DROP TABLE IF EXISTS airport",
    "CREATE TABLE airport (code TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, state TEXT NOT NULL)",
    """
    CREATE TABLE flight (
        date TEXT NOT NULL, carrier TEXT NOT NULL, number INTEGER NOT NULL, origin TEXT NOT NULL,
        destination TEXT NOT NULL REFERENCES airport, departure_delay INTEGER NOT NULL, arrival_delay INTEGER NOT NULL
    )
    """,
)


@task
def load(database: Path, airports: dict[str, Row], months: list[list[Flight]]) -> int:
    """Fill the database anew, in one transaction: another run that uses it sees all of the old or all of the new.

    Returns:
        How many flights it holds.
    """
    places = [(code, row["name"], row["city"], row["state"]) for code, row in airports.items()]
    flights = [astuple(flight) for month in months for flight in month]
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection, connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in STATEMENTS:
            connection.execute(statement)
        connection.executemany("INSERT INTO airport VALUES (?, ?, ?, ?)", places)
        connection.executemany("INSERT INTO flight VALUES (?, ?, ?, ?, ?, ?, ?)", flights)
    get_run_logger().info("loaded %d flights and %d airports into %s", len(flights), len(places), database)
    return len(flights)
