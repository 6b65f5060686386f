"""The shipped example: it runs as plain Python, builds into a deployment, and is installed whole."""

from __future__ import annotations

import ast
import configparser
import glob
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import orchestrator.examples
from orchestrator.errors import InvalidInput
from orchestrator.projects import builds, snapshots

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(orchestrator.examples.__file__).resolve().parent / "flights"


@pytest.fixture
def flights(tmp_path: Path) -> Path:
    """A work copy of the example, as the quickstart makes one."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "flights"))


def run(folder: Path, call: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    script = f"from flow import *; print(repr({call}))"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=folder.parent, env=environment, capture_output=True, text=True, check=True
    )


def test_it_runs_by_hand_twice_from_any_folder(flights: Path) -> None:
    for _ in range(2):
        done = run(flights, "flight_delays()")
        result = ast.literal_eval(done.stdout.strip().splitlines()[-1])
        assert result == {"flights": 3891, "airports": 47, "longest_delays": ["HOU", "JAX", "RIC"]}
        assert "the file server did not answer" in done.stderr
    with closing(sqlite3.connect(flights.parent / "flights.sqlite")) as database:
        assert database.execute("SELECT count(*), count(DISTINCT destination) FROM flight").fetchone()[0] == 3891


def test_its_parameters_do_what_they_say(flights: Path) -> None:
    call = "flight_delays(Path('other.sqlite'), minimum_flights=1, states=['CA'], simulate_outage=False)"
    done = run(flights, call)
    result = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    assert 1 < result["airports"] < 20
    assert "the file server" not in done.stderr
    assert (flights.parent / "other.sqlite").is_file()


def test_its_flows_are_listed_and_the_main_one_builds(flights: Path) -> None:
    with pytest.raises(InvalidInput, match=r"flow.py:flight_delays, lib/report.py:delays_per_airport"):
        builds.find_flow(flights)
    facts = builds.find_flow(flights, "flow.py")
    assert facts.flow == "flight-delays"
    properties = facts.parameter_schema["properties"]
    assert [*properties] == ["database", "minimum_flights", "states", "simulate_outage"]
    assert all(item.get("description") for item in properties.values())


def test_what_a_run_leaves_behind_changes_no_snapshot(flights: Path) -> None:
    before = snapshots.manifest(flights)
    (flights / "flights.sqlite").touch()
    assert snapshots.manifest(flights) == before


def test_every_file_of_it_is_installed() -> None:
    metadata = configparser.ConfigParser()
    metadata.read(ROOT / "setup.cfg")
    patterns = metadata["options.package_data"]["orchestrator.examples"].replace(" ", "").split(",")
    folder = ROOT / "examples"
    shipped = {path for pattern in patterns for path in glob.glob(str(folder / pattern), recursive=True)}
    tracked = subprocess.run(["git", "ls-files", "."], cwd=folder / "flights", capture_output=True, text=True).stdout
    present = tracked.split() or [entry.path for entry in snapshots.manifest(folder / "flights")]
    assert {str(folder / "flights" / path) for path in present} <= shipped
