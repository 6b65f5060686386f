"""Errands from end to end: asked for over REST, done by an agent, answered over REST; and seen nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.client import Client
from orchestrator.errors import InvalidInput, NotFound
from orchestrator.kinds import block_kinds
from orchestrator.server.services.internal import FLOW_ID
from tests.agents import System, system

FLOW = '''
from orchestrator import flow

@flow(name="Load orders")
def load(table: str, limit: int = 10):
    """Load a table."""

@flow
def clean():
    pass
'''


@pytest.fixture
def served(tmp_path: Path, database_url: str, redis_url: str) -> Iterator[System]:
    with system(tmp_path, database_url, redis_url) as found:
        yield found


def save(client: Client, slug: str, name: str, **data: Any) -> str:
    client.post("block-types", block_kinds.find(slug).type_facts())
    return str(client.post("blocks", {"type": slug, "name": name, "data": data})["id"])


def errand(served: System, address: str, verb: str, **body: Any) -> dict[str, Any]:
    run = served.client.post(f"blocks/{address}/{verb}", {"work_queue": served.queue, **body})["run"]
    for _ in range(3):
        found: dict[str, Any] = served.client.get(f"errands/{run}", {"wait_s": 20})
        if found["state"] not in {"SCHEDULED", "PENDING", "RUNNING"}:
            return found
    raise AssertionError((found, served.logs()))


def project(folder: Path) -> Path:
    (folder / "etl" / "lib").mkdir(parents=True)
    (folder / "etl" / "flow.py").write_text(FLOW)
    (folder / "etl" / "broken.py").write_text("def (")
    (folder / "etl" / "missing.py").write_text("import nowhere\nfrom orchestrator import flow\n@flow\ndef f(): pass\n")
    (folder / "etl" / "lib" / "names.py").write_text("NAMES = []")
    (folder / "README.md").write_text("hello")
    return folder


def test_errands_of_a_storage(served: System, tmp_path: Path) -> None:
    folder = project(tmp_path / "code")
    save(served.client, "local-file-system", "code", basepath=str(folder))
    with served.agent():
        tells_what_a_test_saw(served)
        lists_folders_and_files(served)
        tells_the_flows_of_a_folder(served)
        tells_the_flows_of_one_file(served)
        tells_why_a_test_failed(served, tmp_path)
    is_seen_nowhere_else(served)


def tells_what_a_test_saw(served: System) -> None:
    found = errand(served, "local-file-system/code", "test")
    assert (found["verb"], found["state"], found["message"]) == ("test", "COMPLETED", "")
    assert isinstance(found["result"], str)
    assert found["waiting_reason"] is None


def lists_folders_and_files(served: System) -> None:
    found = errand(served, "local-file-system/code", "browse")["result"]
    assert found["folders"] == ["etl"]
    assert [(file["name"], file["size"]) for file in found["files"]] == [("README.md", 5)]
    below = errand(served, "local-file-system/code", "browse", path="etl")["result"]
    assert below["folders"] == ["lib"]
    assert [file["name"] for file in below["files"]] == ["broken.py", "flow.py", "missing.py"]


def tells_the_flows_of_a_folder(served: System) -> None:
    found = errand(served, "local-file-system/code", "inspect", path="etl")["result"]
    assert found["path"] == "etl"
    assert [(item["entrypoint"], item["flow"]) for item in found["flows"]] == [
        ("flow.py:load", "Load orders"),
        ("flow.py:clean", "clean"),
    ]
    first = found["flows"][0]
    assert first["description"] == "Load a table."
    assert first["parameter_schema"]["required"] == ["table"]
    told = {item["file"]: item["message"] for item in found["errors"]}
    assert "line 1" in told["broken.py"]
    assert "missing module: nowhere" in told["missing.py"]
    assert all("\n" not in message for message in told.values())


def tells_the_flows_of_one_file(served: System) -> None:
    found = errand(served, "local-file-system/code", "inspect", path="etl/flow.py")["result"]
    assert (found["path"], len(found["flows"]), found["errors"]) == ("etl", 2, [])


def tells_why_a_test_failed(served: System, tmp_path: Path) -> None:
    save(served.client, "local-file-system", "gone", basepath=str(tmp_path / "nowhere"))
    found = errand(served, "local-file-system/gone", "inspect")
    assert found["state"] == "FAILED"
    assert "there is no file" in found["message"]
    assert found["result"] is None


def is_seen_nowhere_else(served: System) -> None:
    client = served.client
    assert client.get("flow-runs")["items"] == []
    assert client.get("flows")["items"] == []
    assert client.get("deployments")["items"] == []
    assert client.get("events", {"event": "flow-run.*"})["items"] == []
    assert len(client.get("flow-runs", {"flow_id": FLOW_ID})["items"]) == 6
    assert len(client.get("flow-runs", {"internal": True})["items"]) == 6


def test_without_an_agent_it_says_so(served: System) -> None:
    save(served.client, "json", "config", value={})
    run = served.client.post("blocks/json/config/test", {"work_queue": served.queue})["run"]
    found = served.client.get(f"errands/{run}")
    assert found["state"] == "SCHEDULED"
    assert found["waiting_reason"]["code"] == "no-agent-on-queue"
    with pytest.raises(InvalidInput, match="no interface file-system"):
        served.client.post("blocks/json/config/browse", {})
    with pytest.raises(NotFound):
        served.client.get(f"errands/{FLOW_ID}")
