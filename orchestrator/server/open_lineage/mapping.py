"""From OpenLineage's events to ours."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from ...clock import to_text
from ..foreign_ids import foreign_id
from ..schemas.events import RELATED_MAX
from .documents import Dataset, DatasetEvent, Job, JobEvent, Run, RunEvent, read
from .facets import Room, dataset_labels, facet_of, job_labels, without_password

_VERBS = {"START": "started", "RUNNING": "running", "COMPLETE": "completed", "FAIL": "failed", "ABORT": "aborted",
          "OTHER": "observed"}  # fmt: skip
#: Datasets that one event relates; room is left for the run and what is above it.
_AT_ONCE = RELATED_MAX - 10
#: The namespace by which parents of OpenLineage name our own runs.
_OURS = "orchestrator"

Event = dict[str, Any]


def as_events(raw: Any, now: datetime) -> list[Event]:
    """Our events of one of OpenLineage's. Raises Refusal, naming the field that cannot be used.

    The same event gives the same ids again, so that a redelivery adds nothing.
    """
    found = read(raw)
    if isinstance(found, DatasetEvent):
        return [_dataset_described(found, now)]
    return [*_about_job(found, now), *(_about_datasets(found, now) if isinstance(found, RunEvent) else ())]


def dataset_id(dataset: Dataset) -> str:
    """``namespace/name``, which is how OpenLineage's naming says what a dataset is."""
    return f"{without_password(dataset.namespace).rstrip('/')}/{dataset.name.lstrip('/')}"


def job_id(job: Job) -> str:
    """Jobs have names of their own, apart from those of datasets."""
    return f"job:{job.namespace.rstrip('/')}/{job.name}"


def _about_job(found: RunEvent | JobEvent, now: datetime) -> Iterator[Event]:
    name = f"lineage.run.{_VERBS[found.type]}" if isinstance(found, RunEvent) else "lineage.job.described"
    room, run = Room(), found.run if isinstance(found, RunEvent) else None
    payload: dict[str, Any] = {"producer": found.producer[:1000], "job": _job_facts(found.job, room)}
    if run is not None:
        payload["run"] = {"id": str(run.run_id), "facets": room.keep(run.facets)}
        if message := facet_of(run.facets, "errorMessage").get("message"):
            payload["message"] = str(message)[:10_000]
    payload["inputs"] = [_dataset_facts(one, room) for one in found.inputs[:_AT_ONCE]]
    payload["outputs"] = [_dataset_facts(one, room) for one in found.outputs[:_AT_ONCE]]
    links = [_dataset(one, "reads") for one in found.inputs] + [_dataset(one, "writes") for one in found.outputs]
    links = [*{(link["resource.id"], link["resource.role"]): link for link in links}.values()]
    above = _above(run)
    about = {**_job(found.job), **({"lineage.run": str(run.run_id)} if run is not None else {})}
    yield _event(found, now, name, about, [*above, *links[:_AT_ONCE]], payload)
    for start in range(_AT_ONCE, len(links), _AT_ONCE):  # more than one event may relate
        more = {"part": start // _AT_ONCE, "of": name}
        yield _event(found, now, "lineage.job.linked", _job(found.job), links[start : start + _AT_ONCE], more)


def _about_datasets(found: RunEvent, now: datetime) -> Iterator[Event]:
    """What a run did to its datasets, told of them."""
    runs = [one for one in _above(found.run) if one["resource.role"] != "part-of"]
    above = [_job(found.job, "job"), *runs]
    if found.type == "COMPLETE":
        for output in _once(found.outputs):
            name, payload = _written(output)
            yield _event(found, now, name, _dataset(output), above, {**payload, "run": str(found.run.run_id)})
    if found.type in ("COMPLETE", "FAIL", "OTHER"):
        for dataset in _once([*found.inputs, *found.outputs]):
            if checks := _checks(dataset):
                good = all(check.get("success") is not False for check in checks if check.get("severity") != "warn")
                payload = {"checks": checks[:200], "failed": sum(check.get("success") is False for check in checks)}
                name = f"lineage.checks.{'passed' if good else 'failed'}"
                yield _event(found, now, name, _dataset(dataset), above, {**payload, "run": str(found.run.run_id)})


def _written(output: Dataset) -> tuple[str, dict[str, Any]]:
    change = str(facet_of(output.facets, "lifecycleStateChange").get("lifecycleStateChange", ""))[:100]
    facts = facet_of(output.output_facets, "outputStatistics") or facet_of(output.facets, "outputStatistics")
    numbers = {"rows": facts.get("rowCount"), "bytes": facts.get("size"), "files": facts.get("fileCount")}
    version = facet_of(output.facets, "version").get("datasetVersion")
    payload = {**numbers, "version": version, "change": change.lower()}
    told = {key: value for key, value in payload.items() if isinstance(value, (int, float, str)) and value != ""}
    return ("lineage.dataset.dropped" if change == "DROP" else "lineage.dataset.written"), told


def _checks(dataset: Dataset) -> list[dict[str, Any]]:
    """The assertions on a dataset; producers send them in one of two places, or in both."""
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    for facets in (dataset.facets, dataset.input_facets):
        assertions = facet_of(facets, "dataQualityAssertions").get("assertions")
        for item in assertions if isinstance(assertions, list) else ():
            if isinstance(item, dict):
                told = {key: _short(item[key]) for key in _CHECK if item.get(key) is not None}
                found[tuple(str(told.get(key)) for key in ("name", "assertion", "column"))] = told
    return list(found.values())


_CHECK = ("name", "assertion", "column", "success", "severity", "expected", "actual")


def _dataset_described(found: DatasetEvent, now: datetime) -> Event:
    payload = {"producer": found.producer[:1000], "dataset": _dataset_facts(found.dataset, Room())}
    return _event(found, now, "lineage.dataset.described", _dataset(found.dataset), [], payload)


def _above(run: Run | None) -> list[dict[str, str]]:
    """What a run is part of: the job above it, and the run of ours at the root of it all."""
    parent = facet_of(run.facets, "parent") if run is not None else {}
    above, root = _named(parent), _named(parent.get("root"))
    top, run_id = root or above or (None, None)
    related: list[dict[str, str]] = []
    if top is not None and run_id is not None and top.namespace == _OURS:
        about = {"resource.id": f"orchestrator.flow-run.{run_id}", "resource.name": top.name}
        related.append({**about, "resource.role": "flow-run"})
        if above is not None and above[1] == run_id:
            return related
    # Jobs that run below ours may be named in our namespace: the parent's is inherited, so it says nothing of them.
    return [*related, {**_job(above[0]), "resource.role": "part-of"}] if above is not None else related


def _named(facet: Any) -> tuple[Job, uuid.UUID | None] | None:
    """The job and the run that a parent's facet names."""
    job, run = (facet.get("job"), facet.get("run")) if isinstance(facet, dict) else (None, None)
    if not (isinstance(job, dict) and isinstance(run, dict) and job.get("namespace") and job.get("name")):
        return None
    found = Job(namespace=str(job["namespace"])[:1000], name=str(job["name"])[:1000])
    return found, _uuid(run.get("runId"))


def _uuid(text: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None


def _job(job: Job, role: str | None = None) -> dict[str, str]:
    names = {"resource.id": job_id(job), "resource.name": job.name, "resource.kind": "lineage.job"}
    labels = {**names, "lineage.namespace": job.namespace}
    return {**names, "resource.role": role} if role else {**labels, **job_labels(job.facets)}


def _dataset(dataset: Dataset, role: str | None = None) -> dict[str, str]:
    labels = {
        "resource.id": dataset_id(dataset),
        "resource.name": dataset.name,
        "resource.kind": "lineage.dataset",
        "lineage.namespace": without_password(dataset.namespace),
        **dataset_labels(dataset.facets),
    }
    return {**labels, "resource.role": role} if role else labels


def _job_facts(job: Job, room: Room) -> dict[str, Any]:
    return {"namespace": job.namespace, "name": job.name, "facets": room.keep(job.facets)}


def _dataset_facts(dataset: Dataset, room: Room) -> dict[str, Any]:
    found = {
        "id": dataset_id(dataset),
        "facets": room.keep(_safe(dataset.facets)),
        "input_facets": room.keep(dataset.input_facets),
        "output_facets": room.keep(dataset.output_facets),
    }
    return {key: value for key, value in found.items() if value}


def _safe(facets: dict[str, Any]) -> dict[str, Any]:
    source = facet_of(facets, "dataSource")
    if not source:
        return facets
    cleaned = {key: without_password(item) if isinstance(item, str) else item for key, item in source.items()}
    return {**facets, "dataSource": cleaned}


def _once(datasets: Sequence[Dataset]) -> list[Dataset]:
    return [*{dataset_id(one): one for one in datasets}.values()]


def _short(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float)) else str(value)[:1000]


def _event(
    found: RunEvent | JobEvent | DatasetEvent,
    now: datetime,
    name: str,
    resource: dict[str, str],
    related: list[dict[str, str]],
    payload: dict[str, Any],
) -> Event:
    run = str(found.run.run_id) if isinstance(found, RunEvent) else ""
    at = to_text(found.time)
    key = "\n".join(("openlineage", run, at, name, resource["resource.id"], str(payload.get("part", ""))))
    return {
        "id": str(foreign_id(found.time, key, now)),
        "event": name,
        "occurred": at,
        "resource": resource,
        "related": related,
        "payload": payload,
        "kind": "relationship" if name in ("lineage.job.linked", "lineage.job.described") else "operation",
    }
