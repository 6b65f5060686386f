"""A dbt run appears on the map with its tables, by OpenLineage."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from orchestrator.settings import load

from ..polling import until
from ..stack import Stack
from ..standins import programs


def test_a_dbt_run_appears_on_the_map(stack: Stack, tmp_path: Path) -> None:
    venv = programs.dbt()
    database = programs.orders_file(venv, tmp_path / "shop.duckdb")
    project = programs.dbt_project(tmp_path / "shop")
    output = {"type": "duckdb", "path": str(database), "schema": "main"}
    (project / "profiles.yml").write_text(json.dumps({"shop": {"target": "dev", "outputs": {"dev": output}}}))
    environment = {
        **os.environ,
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OPENLINEAGE_URL": f"http://127.0.0.1:{stack.port}",
        "OPENLINEAGE_API_KEY": load(stack.environment).api_key,
        "DO_NOT_TRACK": "1",
    }
    command = ["dbt-ol", "build", "--profiles-dir", "."]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=300)
    assert "OpenLineage events" in done.stdout + done.stderr, done.stdout + done.stderr

    orders, prices, totals = (
        f"duckdb://{database}/shop.{table}" for table in ("raw.orders", "main.prices", "main.totals")
    )
    wanted = {(orders, prices), (prices, totals)}

    def flows() -> set[tuple[str, str]]:
        found = stack.client.get("map")
        assert {edge[end] for edge in found["edges"] for end in ("source", "target")} <= {
            n["id"] for n in found["nodes"]
        }
        return through(found["edges"])

    until(lambda: wanted <= flows(), f"{wanted} on the map", 60)
    near = stack.client.get("map", {"focus": prices, "hops": 2})
    assert {orders, prices, totals} <= {node["id"] for node in near["nodes"]}
    shown = stack.json("resource", "inspect", prices)
    assert shown["kind"] != "unknown"


def through(edges: list[dict[str, str]]) -> set[tuple[str, str]]:
    """What is read and what is written of it, by any job."""
    reads = {(edge["source"], edge["target"]) for edge in edges if edge["role"] == "reads"}
    writes = {(edge["source"], edge["target"]) for edge in edges if edge["role"] == "writes"}
    return {(read, written) for job, read in reads for other, written in writes if job == other}
