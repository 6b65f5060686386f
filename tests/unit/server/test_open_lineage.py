"""OpenLineage as events of our own."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from typing import Any

import pytest

from orchestrator.server.open_lineage import as_events
from orchestrator.server.open_lineage.facets import FACET_MAX, Room, without_password
from orchestrator.server.schemas.events import Refusal, read_event

NOW = datetime(2026, 5, 6, 12, tzinfo=timezone.utc)
RUN = "0190f1a2-0000-7000-8000-000000000001"
LAKE = "s3://lake"


def dataset(name: str, **more: Any) -> dict[str, Any]:
    return {"namespace": LAKE, "name": name, **more}


def run_event(kind: str = "COMPLETE", run_facets: Any = None, **more: Any) -> dict[str, Any]:
    return {
        "eventType": kind,
        "eventTime": "2026-05-06T11:59:00.5Z",
        "producer": "https://example.com/producer",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": RUN, "facets": run_facets or {}},
        "job": {"namespace": "nightly", "name": "load", "facets": {"jobType": {"integration": "SPARK"}}},
        **more,
    }


def by_name(raw: Any) -> dict[str, Any]:
    found = as_events(raw, NOW)
    for event in found:
        read_event(event)
    return {event["event"]: event for event in found}


def test_a_run_reads_and_writes() -> None:
    statistics = {"outputStatistics": {"_producer": "x", "rowCount": 7, "size": 90}}
    found = by_name(
        run_event(inputs=[dataset("raw/orders")], outputs=[dataset("/clean/orders", outputFacets=statistics)])
    )
    run = found["lineage.run.completed"]
    assert run["occurred"] == "2026-05-06T11:59:00.500000Z"
    assert run["resource"] == {
        "resource.id": "job:nightly/load",
        "resource.name": "load",
        "resource.kind": "lineage.job",
        "lineage.namespace": "nightly",
        "lineage.integration": "SPARK",
        "lineage.run": RUN,
    }
    links = {(one["resource.role"], one["resource.id"]) for one in run["related"]}
    assert links == {("reads", f"{LAKE}/raw/orders"), ("writes", f"{LAKE}/clean/orders")}
    assert run["payload"]["run"]["id"] == RUN
    written = found["lineage.dataset.written"]
    assert written["resource"]["resource.id"] == f"{LAKE}/clean/orders"
    assert written["payload"] == {"rows": 7, "bytes": 90, "run": RUN}
    assert ("job", "job:nightly/load") in {(one["resource.role"], one["resource.id"]) for one in written["related"]}


@pytest.mark.parametrize(
    ("kind", "name"),
    [("START", "started"), ("RUNNING", "running"), ("FAIL", "failed"), ("ABORT", "aborted"), ("OTHER", "observed")],
)
def test_every_type_has_a_name_and_only_a_completed_run_wrote(kind: str, name: str) -> None:
    assert [*by_name(run_event(kind, outputs=[dataset("t")]))] == [f"lineage.run.{name}"]


def test_the_same_again_has_the_same_ids() -> None:
    raw = run_event(inputs=[dataset("a")], outputs=[dataset("b"), dataset("c"), dataset("b")])
    once, again = as_events(raw, NOW), as_events(raw, NOW)
    assert once == again
    assert len({event["id"] for event in once}) == len(once) == 3
    assert as_events({**raw, "eventTime": "2026-05-06T11:59:01Z"}, NOW)[0]["id"] != once[0]["id"]


def test_checks_are_told_of_the_dataset() -> None:
    def checked(*successes: bool, severity: str = "error") -> dict[str, Any]:
        assertions = [
            {"assertion": "not_null", "column": f"c{index}", "success": good, "severity": severity}
            for index, good in enumerate(successes)
        ]
        facets = {"dataQualityAssertions": {"assertions": assertions}}
        return by_name(run_event("FAIL", inputs=[dataset("t", facets=facets, inputFacets=facets)]))

    failed = checked(True, False)["lineage.checks.failed"]
    assert (failed["resource"]["resource.id"], failed["payload"]["failed"]) == (f"{LAKE}/t", 1)
    assert len(failed["payload"]["checks"]) == 2
    assert "lineage.checks.passed" in checked(True)
    assert "lineage.checks.passed" in checked(False, severity="warn")
    assert [*checked()] == ["lineage.run.failed"]


def test_parents_are_jobs_or_runs_of_our_own() -> None:
    def parent(namespace: str, run: str, **more: Any) -> list[tuple[str, str]]:
        facet = {"job": {"namespace": namespace, "name": "all"}, "run": {"runId": run}, **more}
        related = by_name(run_event(run_facets={"parent": facet}))["lineage.run.completed"]["related"]
        return [(one["resource.role"], one["resource.id"]) for one in related]

    own = str(uuid.uuid4())
    assert parent("dbt", own) == [("part-of", "job:dbt/all")]
    assert parent("orchestrator", own) == [("flow-run", f"orchestrator.flow-run.{own}")]
    assert parent("orchestrator", "by hand") == [("part-of", "job:orchestrator/all")]
    root = {"job": {"namespace": "orchestrator", "name": "flow"}, "run": {"runId": own}}
    assert parent("orchestrator", str(uuid.uuid4()), root=root) == [
        ("flow-run", f"orchestrator.flow-run.{own}"),
        ("part-of", "job:orchestrator/all"),
    ]
    assert parent("dbt", own, root="none") == [("part-of", "job:dbt/all")]


def test_more_datasets_than_one_event_relates_become_more_events() -> None:
    found = as_events(run_event("START", inputs=[dataset(f"t{number}") for number in range(200)]), NOW)
    assert [event["event"] for event in found] == ["lineage.run.started", "lineage.job.linked", "lineage.job.linked"]
    reads = [one["resource.id"] for event in found for one in event["related"] if one["resource.role"] == "reads"]
    assert sorted(reads) == sorted(f"{LAKE}/t{number}" for number in range(200))
    assert len({event["id"] for event in found}) == 3
    for event in found:
        read_event(event)


def test_facets_are_bounded_and_secrets_left_out() -> None:
    kept = Room().keep(
        {
            "sql": {"_producer": "p", "_schemaURL": "s", "query": "select 1"},
            "environmentVariables": {"environmentVariables": [{"name": "PASSWORD", "value": "hunter2"}]},
            "spark.logicalPlan": {"plan": "x" * FACET_MAX},
            "gone": {"_deleted": True},
        }
    )
    assert kept == {"sql": {"query": "select 1"}, "left_out": {"spark.logicalPlan": FACET_MAX + 11}}
    room = Room()
    sizes = [len(room.keep({"plan": {"plan": "x" * (FACET_MAX - 100)}})["plan"]["plan"]) for _ in range(8)]
    assert sizes == [FACET_MAX - 100] * 8
    assert "left_out" in room.keep({"plan": {"plan": "x" * (FACET_MAX - 100)}})


def test_passwords_in_addresses_are_cut_out() -> None:
    address = "postgresql://me:hunter2@db:5432/shop"
    facets = {"dataSource": {"name": address, "uri": address}}
    found = as_events(run_event(outputs=[{"namespace": address, "name": "public.t", "facets": facets}]), NOW)
    assert "hunter2" not in str(found)
    assert found[1]["resource"]["resource.id"] == "postgresql://me@db:5432/shop/public.t"
    assert without_password("not [an address") == "not [an address"


def test_jobs_and_datasets_can_be_described() -> None:
    described = {"eventTime": "2026-05-06T11:59:00Z", "producer": "p"}
    job = {**described, "job": {"namespace": "n", "name": "j"}, "inputs": [dataset("a")], "outputs": None}
    found = by_name(job)["lineage.job.described"]
    assert found["kind"] == "relationship"
    assert [one["resource.role"] for one in found["related"]] == ["reads"]
    facets = {
        "ownership": {"owners": [{"name": "team:sales", "type": "OWNER"}]},
        "documentation": {"description": "All orders."},
        "tags": {"tags": [{"key": "pii", "value": "yes"}, {"key": "x", "field": "column"}]},
        "symlinks": None,
    }
    labels = by_name({**described, "dataset": dataset("a", facets=facets)})["lineage.dataset.described"]["resource"]
    assert labels == {
        "resource.id": f"{LAKE}/a", "resource.name": "a", "resource.kind": "lineage.dataset",
        "lineage.namespace": LAKE, "lineage.owner": "team:sales", "lineage.description": "All orders.",
        "lineage.tag.pii": "yes",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ([], "a JSON object"),
        (run_event(eventTime=17), "eventTime: must be a text"),
        (run_event(eventTime="2026-05-06T11:59:00"), "eventTime: "),
        (run_event(run={"runId": "seven"}), r"run\.runId: "),
        (run_event(eventType="DONE"), "eventType: "),
        (run_event(job={"namespace": "n"}), r"job\.name: "),
        (run_event(inputs=[{"name": "t"}]), r"inputs\.0\.namespace: "),
        ({"eventTime": "2026-05-06T11:59:00Z"}, "job: "),
    ],
)
def test_what_is_wrong_is_named(raw: Any, reason: str) -> None:
    with pytest.raises(Refusal, match=reason):
        as_events(raw, NOW)
