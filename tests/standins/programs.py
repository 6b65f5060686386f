"""Programs that jobs run. Each has a virtual environment of its own, for what it needs goes with no other's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest


def environment(variable: str, package: str) -> Path:
    """The folder of a virtual environment with a package; skips the test where none is named."""
    folder = os.environ.get(variable)
    if not folder:
        pytest.skip(f"{variable} names no virtual environment with {package} (.ci/run makes one)")
    return Path(folder)


def dbt() -> Path:
    """dbt-core, dbt-duckdb and openlineage-dbt."""
    return environment("ORCHESTRATOR_TEST_DBT", "dbt-duckdb")


def soda() -> Path:
    """soda-core-duckdb."""
    return environment("ORCHESTRATOR_TEST_SODA", "soda-core-duckdb")


def great_expectations() -> Path:
    """great_expectations."""
    return environment("ORCHESTRATOR_TEST_GREAT_EXPECTATIONS", "great_expectations")


def python(venv: Path, statements: str) -> None:
    """Execute statements by the interpreter of a virtual environment."""
    subprocess.run([venv / "bin" / "python", "-W", "ignore", "-c", statements], check=True, timeout=120)


def orders_file(venv: Path, path: Path) -> Path:
    """A DuckDB file with a table ``raw.orders`` of two rows, one without a price, by the program's own DuckDB."""
    python(
        venv,
        f"""
import duckdb
link = duckdb.connect({str(path)!r})
link.execute("CREATE SCHEMA IF NOT EXISTS raw")
link.execute("CREATE TABLE raw.orders AS SELECT 1 AS id, 2 AS price UNION ALL SELECT 2, NULL")
""",
    )
    return path


def dbt_project(folder: Path) -> Path:
    """A dbt project with a source, two models and two tests, of which one fails where ``strict`` is true."""
    files = {
        "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\nmodel-paths: [models]\nvars: {strict: false}\n",
        "models/prices.sql": "select id, price from {{ source('raw', 'orders') }}",
        "models/totals.sql": "{{ config(materialized='table', tags=['nightly']) }}\n"
        "select count(*) as orders, sum(price) as total from {{ ref('prices') }}",
        "models/schema.yml": "version: 2\n"
        "sources: [{name: raw, schema: raw, tables: [{name: orders}]}]\n"
        "models:\n"
        "  - name: totals\n    columns: [{name: total, data_tests: [not_null]}]\n"
        "  - name: prices\n    columns:\n      - name: price\n        data_tests:\n"
        "          - not_null: {config: {enabled: \"{{ var('strict') }}\"}}\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def checkpoint_project(venv: Path, folder: Path) -> Path:
    """A Great Expectations project with the checkpoints ``good`` and ``bad``."""
    (folder / "data.csv").write_text("id,price\n1,2\n2,\n")
    python(
        venv,
        f"""
import great_expectations as gx
folder = {json.dumps(str(folder))}
context = gx.get_context(mode="file", project_root_dir=folder)
source = context.data_sources.add_pandas_filesystem("files", base_directory=folder)
batch = source.add_csv_asset("orders").add_batch_definition_path("all", path="data.csv")
for name, columns in (("good", ["id"]), ("bad", ["id", "price"])):
    suite = context.suites.add(gx.ExpectationSuite(name=name))
    for column in columns:
        suite.add_expectation(gx.expectations.ExpectColumnValuesToNotBeNull(column=column))
    validation = gx.ValidationDefinition(name=name, data=batch, suite=suite)
    context.checkpoints.add(
        gx.Checkpoint(name=name, validation_definitions=[context.validation_definitions.add(validation)])
    )
""",
    )
    shutil.rmtree(folder / "gx" / "uncommitted" / "validations", ignore_errors=True)
    return folder
