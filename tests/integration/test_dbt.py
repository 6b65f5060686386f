"""dbt projects, by the real dbt: what a run leaves, and what discovery tells of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.blocks.database_credentials import DatabaseCredentials
from orchestrator.blocks.dbt_project import DbtProject
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.sql_database import SQLDatabase
from orchestrator.errors import InvalidInput, JobFailed, NotFound
from orchestrator.interfaces import Observed

from ..standins import programs


@pytest.fixture(scope="module")
def venv() -> Path:
    return programs.dbt()


def test_a_project_is_built_discovered_and_observed(venv: Path, tmp_path: Path) -> None:
    account = DatabaseCredentials(dialect="duckdb", database=str(programs.orders_file(venv, tmp_path / "shop.duckdb")))
    programs.dbt_project(tmp_path / "root" / "projects" / "shop")
    job = DbtProject(
        project="projects/shop",
        storage=LocalFileSystem(basepath=str(tmp_path / "root")),
        credentials=account,
        target_schema="main",
        executable=str(venv),
    )
    with pytest.raises(NotFound, match=r"manifest\.json"):
        [*job.discover()]
    assert job.observe(None, pytest.fail) == {}

    built = job.trigger("build", select="+totals").result()
    assert built["counts"] == {"success": 2, "pass": 1}
    assert {item["id"] for item in built["results"]} >= {"model.shop.prices", "model.shop.totals"}
    assert SQLDatabase(credentials=account).fetch("SELECT * FROM main.totals") == [{"orders": 2, "total": 2}]

    found = {resource.id: resource for resource in job.discover()}
    totals = found["dbt://shop/model.shop.totals"]
    assert (totals.kind, totals.name, totals.labels["status"], totals.labels["tags"]) == (
        "dbt.model", "totals", "success", "nightly",
    )  # fmt: skip
    related = {(item.id, item.role) for item in totals.related}
    tables = {resource.id for resource in SQLDatabase(credentials=account).discover()}
    assert ("dbt://shop/model.shop.prices", "reads") in related
    assert {target for target, role in related if role == "writes"} <= tables
    assert {target for target, role in related if role == "writes"}
    assert found["dbt://shop/source.shop.raw.orders"].kind == "dbt.source"
    assert {resource.kind for resource in found.values()} == {"dbt.project", "dbt.model", "dbt.source", "dbt.test"}

    cursor = job.observe(None, pytest.fail)
    assert cursor == {"invocation": built["invocation_id"]}
    assert job.observe(cursor, pytest.fail) == cursor
    with pytest.raises(JobFailed, match=r"dbt build: 1 of 4 failed: test\.shop\.not_null_prices_price"):
        job.trigger("build", vars={"strict": True}).result()
    told: list[Observed] = []
    after = job.observe(cursor, told.append)
    events = sorted((item.event, item.resource.name) for item in told)
    assert ("dbt.model.built", "prices") in events
    assert ("dbt.test.failed", "not_null_prices_price") in events
    assert len({item.key for item in told}) == len(told)
    assert all(item.occurred and item.occurred.tzinfo for item in told)
    assert job.observe(after, pytest.fail) == after


def test_a_project_that_dbt_cannot_read_says_why(venv: Path, tmp_path: Path) -> None:
    programs.dbt_project(tmp_path / "shop")
    (tmp_path / "shop" / "models" / "broken.sql").write_text("select * from {{ ref('nothing') }}")
    account = DatabaseCredentials(dialect="duckdb", database=str(tmp_path / "x.duckdb"))
    job = DbtProject(project=str(tmp_path / "shop"), credentials=account, executable=str(venv))
    with pytest.raises(JobFailed, match="nothing"):
        job.trigger("run").result()


def test_what_cannot_be_triggered_is_refused(tmp_path: Path) -> None:
    account = DatabaseCredentials(dialect="duckdb", database=str(tmp_path / "x.duckdb"))
    job = DbtProject(project=str(tmp_path), credentials=account)
    for parameters, said in [
        ({"command": "clean"}, "dbt clean is not known here"),
        ({"select": "--profiles-dir=/tmp"}, "none that starts with -"),
        ({"exclude": ["a", "-x"]}, "none that starts with -"),
        ({"vars": {"a": object()}}, "vars: give a dictionary"),
        ({"speed": 1}, "does not take speed"),
    ]:
        with pytest.raises(InvalidInput, match=said):
            job.trigger(**parameters)
    with pytest.raises(NotFound, match=r"no dbt_project\.yml"):
        job.trigger("build")
