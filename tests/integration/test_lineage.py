"""OpenLineage, by its real client and by the real dbt with DuckDB."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import error_message_run, output_statistics_output_dataset, schema_dataset
from openlineage.client.transport.http import HttpConfig, HttpTransport

from orchestrator.client import Client
from orchestrator.clock import now, to_text

from ..api import ClientAs
from ..live_api import Api
from ..standins import programs

PRODUCER = "https://example.com/loader"


def lineage_client(api: Api, key: str | None = None, **more: Any) -> OpenLineageClient:
    auth = {"type": "api_key", "apiKey": key if key is not None else os.environ["ORCHESTRATOR_API_KEY"]}
    config = {"url": api.url, "auth": auth, "retry": {"total": 0}, **more}
    return OpenLineageClient(transport=HttpTransport(HttpConfig.from_dict(config)))


def run_event(state: RunState, run: str, at: str, **facets: Any) -> RunEvent:
    columns = schema_dataset.SchemaDatasetFacet(fields=[schema_dataset.SchemaDatasetFacetFields(name="id")])
    return RunEvent(
        eventType=state,
        eventTime=at,
        run=Run(runId=run, facets=facets),
        job=Job(namespace="nightly", name="orders"),
        producer=PRODUCER,
        inputs=[InputDataset("s3://lake", "raw/orders", facets={"schema": columns})],
        outputs=[
            OutputDataset(
                "postgres://db:5432",
                "shop.public.orders",
                outputFacets={
                    "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=3)
                },
            )
        ],
    )


def events(**params: Any) -> list[dict[str, Any]]:
    return [*Client.from_settings().pages("events", {"limit": 200, **params})]


def related(event: dict[str, Any], role: str) -> set[str]:
    return {one["resource.id"] for one in event["related"] if one["resource.role"] == role}


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_the_standard_client_is_understood_and_may_repeat_itself(api: Api, compression: str | None) -> None:
    client = lineage_client(api, **({"compression": compression} if compression else {}))
    run, at = str(uuid.uuid4()), to_text(now())
    for _ in range(2):
        client.emit(run_event(RunState.START, run, at))
        client.emit(run_event(RunState.COMPLETE, run, at))
    client.emit(JobEvent(eventTime=at, job=Job(namespace="nightly", name="orders"), producer=PRODUCER))
    client.close()

    found = {event["event"]: event for event in events(event="lineage.*")}
    assert len(events(event="lineage.*")) == 4
    assert set(found) == {
        "lineage.run.started", "lineage.run.completed", "lineage.dataset.written", "lineage.job.described",
    }  # fmt: skip
    done = found["lineage.run.completed"]
    assert done["source"] == "lineage"
    assert related(done, "reads") == {"s3://lake/raw/orders"}
    assert related(done, "writes") == {"postgres://db:5432/shop.public.orders"}
    assert done["payload"]["inputs"][0]["facets"]["schema"]["fields"][0]["name"] == "id"
    assert found["lineage.dataset.written"]["payload"]["rows"] == 3


def test_a_failure_tells_why(api: Api) -> None:
    error = error_message_run.ErrorMessageRunFacet(message="disk full", programmingLanguage="Python")
    with_error = run_event(RunState.FAIL, str(uuid.uuid4()), to_text(now()), errorMessage=error)
    lineage_client(api).emit(with_error)
    [event] = events(event="lineage.*")
    assert (event["event"], event["payload"]["message"]) == ("lineage.run.failed", "disk full")


def test_the_client_is_told_of_a_wrong_key(api: Api) -> None:
    with pytest.raises(requests.HTTPError, match="401"):
        lineage_client(api, "orc_wrong").emit(run_event(RunState.START, str(uuid.uuid4()), to_text(now())))


def test_bodies_are_checked(client_as: ClientAs) -> None:
    client, path = client_as("agent"), "/api/v1/lineage"
    good = {"eventTime": to_text(now()), "job": {"namespace": "n", "name": "j"}}
    assert client.post(path, json=good).json == {"accepted": 1, "refused": []}
    mixed = client.post(path, json=[good, {"eventTime": "x"}, []])
    assert mixed.status_code == 202
    assert [one["index"] for one in mixed.json["refused"]] == [1, 2]  # type: ignore[index]
    assert client.post(path, json={**good, "job": None}).status_code == 422
    assert client.post(path, json=[]).status_code == 422
    assert client_as("viewer").post(path, json=good).status_code == 403

    def sent(body: bytes, coding: str) -> int:
        headers = {"Content-Encoding": coding, "Content-Type": "application/json"}
        return client.post(path, data=body, headers=headers).status_code

    assert sent(gzip.compress(json.dumps(good).encode()), "gzip") == 202
    assert sent(b"{}", "gzip") == 400
    assert sent(gzip.compress(b"{"), "gzip") == 400
    assert sent(b"{}", "br") == 415
    assert sent(gzip.compress(b" " * 20_000_000), "gzip") == 413


def test_a_dbt_run_brings_its_tables(api: Api, tmp_path: Path) -> None:
    venv = programs.dbt()
    database = programs.orders_file(venv, tmp_path / "shop.duckdb")
    project = programs.dbt_project(tmp_path / "shop")
    output = {"type": "duckdb", "path": str(database), "schema": "main"}
    (project / "profiles.yml").write_text(json.dumps({"shop": {"target": "dev", "outputs": {"dev": output}}}))
    parent = str(uuid.uuid4())
    environment = {
        **os.environ,
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "OPENLINEAGE_URL": api.url,
        "OPENLINEAGE_API_KEY": os.environ["ORCHESTRATOR_API_KEY"],
        "OPENLINEAGE_PARENT_ID": f"orchestrator/shop/{parent}",
        "DO_NOT_TRACK": "1",
    }
    command = ["dbt-ol", "build", "--profiles-dir", ".", "--vars", "{strict: true}"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, timeout=180)
    assert "Emitted 8 OpenLineage events" in done.stdout + done.stderr

    prices, orders = f"duckdb://{database}/shop.main.prices", f"duckdb://{database}/shop.raw.orders"
    [model] = [one for one in events(event="lineage.run.completed") if related(one, "writes")]
    assert (related(model, "reads"), related(model, "writes")) == ({orders}, {prices})
    assert model["resource"]["lineage.integration"] == "DBT"
    assert related(model, "part-of") == {"job:orchestrator/dbt-run-shop"}
    assert related(model, "flow-run") == {f"orchestrator.flow-run.{parent}"}
    [written] = events(event="lineage.dataset.written")
    assert written["resource"]["resource.id"] == prices
    failed = {one["resource"]["resource.id"]: one for one in events(event="lineage.checks.failed")}
    assert failed[prices]["payload"]["checks"][0]["name"] == "not_null_prices_price"
    assert set(failed) == {prices, f"duckdb://{database}/shop.main.totals"}  # a check that dbt skipped did not succeed
    of_ours = {found for one in events(event="lineage.run.failed") for found in related(one, "flow-run")}
    links = Client.from_settings().get("relations", {"resource": prices})["items"]
    assert (model["resource"]["resource.id"], "writes") in {(one["source"], one["role"]) for one in links}
    assert of_ours == {f"orchestrator.flow-run.{parent}"}
