"""What dbt leaves behind: its manifest as resources, its run results as a result and as events."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from orchestrator.errors import JobFailed
from orchestrator.interfaces import Observed, Related, Resource

from ..sql.catalogues import catalogue_of
from ..sql.errors import address
from . import last_line

_BUILT = ("model", "seed", "snapshot")
_GOOD = ("success", "pass", "no-op")
_BAD = ("error", "fail", "runtime error", "partial success")
_VOLATILE = frozenset({"status", "seconds", "last_run"})


def outcome(command: str, code: int, lines: str, target: Path, has_results: bool) -> dict[str, Any]:
    """The result of a run of dbt.

    Raises:
        JobFailed: It failed; the message names what did, and why.
    """
    path = target / "run_results.json"
    if not has_results or not path.is_file():
        if code != 0:
            raise JobFailed(f"dbt {command} failed: {last_line(lines)}")
        return {"invocation_id": None, "seconds": None, "counts": {}, "results": [], "failed": []}
    found = json.loads(path.read_bytes())
    results = [
        {"id": item["unique_id"], "status": item["status"], "seconds": item.get("execution_time"),
         "message": item.get("message"), "failures": item.get("failures")}
        for item in found["results"]
    ]  # fmt: skip
    failed = [item for item in results if item["status"] in _BAD]
    if failed or code != 0:
        raise JobFailed(_why(command, failed, len(results), lines))
    return {
        "invocation_id": found["metadata"].get("invocation_id"),
        "seconds": found.get("elapsed_time"),
        "counts": dict(Counter(item["status"] for item in results)),
        "results": results,
        "failed": [],
    }


def _why(command: str, failed: list[dict[str, Any]], count: int, lines: str) -> str:
    if not failed:
        return f"dbt {command} failed: {last_line(lines)}"
    first = "; ".join(f"{item['id']}: {last_line(item['message'] or item['status'])}" for item in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    return f"dbt {command}: {len(failed)} of {count} failed: {first}{more}"


class Artifacts:
    """One manifest.

    Args:
        manifest: As dbt writes it.
        url: The database that models are built in; None: it is not known, and no table is named.
    """

    def __init__(self, manifest: Mapping[str, Any], url: URL | None) -> None:
        self._url = url
        self._nodes: dict[str, dict[str, Any]] = {**manifest.get("sources", {}), **manifest.get("nodes", {})}
        self._name = str(manifest.get("metadata", {}).get("project_name") or "project")
        self._where = f"dbt://{self._name}"

    def resources(self, results: Mapping[str, Any] | None) -> Iterator[Resource]:
        """The project, then all that is in it; with the status of the last run."""
        last = {item["unique_id"]: item for item in (results or {}).get("results", [])}
        at = (results or {}).get("metadata", {}).get("generated_at")
        yield Resource(self._where, "dbt.project", self._name)
        for identifier in sorted(self._nodes):
            if self._nodes[identifier].get("resource_type") in (*_BUILT, "test", "source"):
                yield self._resource(identifier, last.get(identifier), at)

    def tell(self, results: Mapping[str, Any], emit: Callable[[Observed], None]) -> None:
        """The events of one run."""
        metadata = results.get("metadata", {})
        occurred = datetime.fromisoformat(str(metadata["generated_at"]).replace("Z", "+00:00"))
        for item in results.get("results", []):
            identifier = item["unique_id"]
            kind = self._nodes.get(identifier, {}).get("resource_type") or identifier.partition(".")[0]
            if event := _event(kind, item["status"]):
                payload = {"status": item["status"], "seconds": item.get("execution_time"),
                           "message": item.get("message"), "failures": item.get("failures"),
                           "invocation": metadata.get("invocation_id")}  # fmt: skip
                resource = self._resource(identifier, item, metadata.get("generated_at"))
                emit(Observed(event, resource, occurred, payload, f"{metadata.get('invocation_id')} {identifier}"))

    def _resource(self, identifier: str, last: Mapping[str, Any] | None, at: str | None) -> Resource:
        node = self._nodes.get(identifier, {})
        kind = node.get("resource_type") or identifier.partition(".")[0]
        labels: dict[str, str | int | float | bool | None] = {
            "materialized": node.get("config", {}).get("materialized"),
            "schema": node.get("schema"),
            "path": node.get("original_file_path"),
            "package": node.get("package_name"),
            "tags": ", ".join(node.get("tags", [])) or None,
        }
        if last is not None:
            labels.update({"status": last["status"], "seconds": last.get("execution_time"), "last_run": at})
        for key in [key for key, value in labels.items() if value is None]:
            del labels[key]
        name = str(node.get("name") or identifier)
        if kind == "source":
            name = f"{node.get('source_name')}.{name}"
        return Resource(self._id(identifier), f"dbt.{kind}", name, labels, tuple(self._related(kind, node)), _VOLATILE)

    def _id(self, identifier: str) -> str:
        return f"{self._where}/{identifier}"

    def _related(self, kind: str, node: Mapping[str, Any]) -> Iterator[Related]:
        yield Related(self._where, "part-of")
        for above in node.get("depends_on", {}).get("nodes", []):
            yield Related(self._id(above), "checks" if kind == "test" else "reads")
        table = self._table(node) if kind in (*_BUILT, "source") else None
        if table:
            yield Related(table, "reads" if kind == "source" else "writes")

    def _table(self, node: Mapping[str, Any]) -> str | None:
        """The id that the database's own discovery gives the table."""
        name = node.get("alias") or node.get("identifier") or node.get("name")
        if self._url is None or not name or node.get("config", {}).get("materialized") == "ephemeral":
            return None
        backend = self._url.get_backend_name()
        url = self._url
        if backend not in ("duckdb", "sqlite"):
            url = url.set(database=(node.get("schema") if backend in ("mysql", "mariadb") else node.get("database")))
        return catalogue_of(backend).table_id(address(url), str(node.get("schema") or ""), str(name))


def _event(kind: str, status: str) -> str | None:
    if kind in _BUILT and status in (*_GOOD, *_BAD):
        return f"dbt.{kind}.{'built' if status in _GOOD else 'failed'}"
    if kind == "test" and status in (*_BAD, "warn"):
        return "dbt.test.warned" if status == "warn" else "dbt.test.failed"
    return None
