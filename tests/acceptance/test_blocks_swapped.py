"""One storage block is swapped for another in a deployment's file, and no line of the flow's code is changed: it is
built, run on an agent, its result is stored and read back.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from orchestrator.block import Block, use_store
from orchestrator.blocks.gcp_credentials import GCPCredentials
from orchestrator.blocks.gcs import GCS
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.s3 import S3
from orchestrator.keeping.result_storage import read_result
from orchestrator.projects import deployments
from orchestrator.stored.block_store import ApiBlockStore

from ..polling import one_line
from ..stack import Stack
from ..standins import gcs, s3

FLOW = """
from orchestrator import Block, flow

from lib.rows import row


@flow
def table(store: str, rows: int = 500):
    files = Block.load(store)
    files.write("data/rows.txt", b"written by the flow")
    return {"read": files.read("data/rows.txt").decode(), "rows": [row(number) for number in range(rows)]}
"""
RESULT = {"read": "written by the flow", "rows": [{"number": number, "text": "é"} for number in range(500)]}


@pytest.fixture(autouse=True)
def own_store(stack: Stack) -> Iterator[None]:
    with use_store(ApiBlockStore(stack.client)):
        yield


@pytest.fixture
def storages(tmp_path: Path) -> Iterator[list[str]]:
    """Three storage blocks of one name."""
    name = f"dev-{uuid.uuid4().hex[:8]}"
    with s3.s3_server() as s3_url, gcs.gcs_server() as gcs_url:
        LocalFileSystem(basepath=str(tmp_path / "files")).save(name)
        keys: dict[str, Any] = {"access_key_id": "key", "secret_access_key": SecretStr("secret")}
        S3(bucket=s3.new_bucket(s3_url), endpoint_url=s3_url, region="us-east-1", **keys).save(name)
        account = GCPCredentials(anonymous=True, project="test")
        account.save(name)
        GCS(bucket=gcs.new_bucket(gcs_url), endpoint_url=gcs_url, credentials=account).save(name)
        yield [f"local-file-system/{name}", f"s3/{name}", f"gcs/{name}"]


def write_project(folder: Path) -> Path:
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "rows.py").write_text("def row(number):\n    return {'number': number, 'text': 'é'}\n")
    (folder / "flow.py").write_text(FLOW)
    return folder


def test_a_swapped_storage_changes_no_line_of_code(stack: Stack, storages: list[str], tmp_path: Path) -> None:
    project, queue = write_project(tmp_path / "project"), f"swap-{uuid.uuid4().hex[:6]}"
    first = storages[0]
    words = ("-n", queue, "-q", queue, "-sb", first, "-rb", f"{first}/kept", "--param", f"store={first}")
    build = ("deployment", "build", "./", "-n", queue, "-o", "d.yaml", "--apply")
    snapshots = set()
    with stack.agent(queue):
        for storage in storages:
            if storage == first:
                built = stack.cli("deployment", "build", "./", *words, "-o", "d.yaml", cwd=project)
                assert built.returncode == 0, built.stderr
            file = project / "d.yaml"
            present = deployments.read(file)[0].storage
            assert present is not None
            file.write_text(file.read_text().replace(present["block"], storage))
            built = stack.cli(*build, cwd=project)
            assert built.returncode == 0, built.stderr
            deployment = stack.json("deployment", "inspect", f"table/{queue}")
            assert (deployment["storage"]["block"], deployment["results"]["block"]) == (storage, storage)
            snapshots.add(deployment["storage"]["snapshot"])
            # so that the agent fetches it from this storage
            shutil.rmtree(stack.home / "cache" / "code" / deployment["storage"]["snapshot"], ignore_errors=True)

            run = stack.wait_for_run(stack.client.post(f"deployments/{deployment['id']}/runs", {})["id"])
            assert run["state"]["type"] == "COMPLETED", (run["state"], stack.logs(run["id"]))
            assert run["result"]["block"] == deployment["results"]["block_id"]
            assert run["result"]["path"] == f"kept/{run['id']}-1.json"
            stored: Any = Block.load(storage)
            assert stored.stat(run["result"]["path"]).size == run["result"]["size"] > 10_000
            assert stored.read("data/rows.txt") == b"written by the flow"
            assert stack.json("flow-run", "result", run["id"]) == RESULT
            assert read_result(run["id"], stack.client) == RESULT
            used = stack.json("block", "inspect", storage)["usage"]["deployments"]
            assert {item["as"] for item in used if item["id"] == deployment["id"]} >= {"storage", "results"}
    assert len(snapshots) == 1, "it is the same code"


def test_a_result_that_a_storage_does_not_take_is_a_warning(stack: Stack, storages: list[str], tmp_path: Path) -> None:
    project, queue = write_project(tmp_path / "project"), f"swap-{uuid.uuid4().hex[:6]}"
    (tmp_path / "full").touch()
    LocalFileSystem(basepath=str(tmp_path / "full")).save(queue)
    first = storages[0]
    words = ("-n", queue, "-q", queue, "-sb", first, "--param", f"store={first}")
    build = ("deployment", "build", "./", *words, "-rb", f"local-file-system/{queue}", "-o", "d.yaml", "--apply")
    built = stack.cli(*build, cwd=project)
    assert built.returncode == 0, built.stderr
    with stack.agent(queue):
        run = stack.wait_for_run(stack.client.post(f"deployments/table/{queue}/runs", {})["id"])
    assert (run["state"]["type"], run["result"]) == ("COMPLETED", None)
    [line] = [line for line in stack.logs(run["id"]) if "was not stored" in line]
    assert "bytes, was not stored in the block" in line
    told = stack.cli("flow-run", "result", run["id"])
    assert told.returncode == 1
    assert "kept no result" in one_line(told.stderr)


def test_an_agent_goes_on_with_the_code_that_it_has_when_the_storage_is_changed(stack: Stack, tmp_path: Path) -> None:
    project, name = write_project(tmp_path / "project"), f"swap-{uuid.uuid4().hex[:6]}"
    storage = f"local-file-system/{name}"
    LocalFileSystem(basepath=str(tmp_path / "old")).save(name)
    words = ("-n", name, "-q", name, "-sb", storage, "-rb", storage, "--param", f"store={storage}")
    built = stack.cli("deployment", "build", "./", *words, "-o", "d.yaml", "--apply", cwd=project)
    assert built.returncode == 0, built.stderr

    def run() -> dict[str, Any]:
        return stack.wait_for_run(stack.client.post(f"deployments/table/{name}/runs", {})["id"])

    with stack.agent(name):
        assert run()["state"]["type"] == "COMPLETED"
        LocalFileSystem(basepath=str(tmp_path / "new")).save(name, overwrite=True)
        moved = run()
        assert moved["state"]["type"] == "COMPLETED", moved["state"]
        assert (tmp_path / "new" / moved["result"]["path"]).is_file()
        assert read_result(moved["id"], stack.client) == RESULT
        shutil.rmtree(stack.home / "cache" / "code" / moved["snapshot"])
        lost = run()
    assert lost["state"]["type"] == "FAILED"
    assert "is not in storage: build the deployment again" in lost["state"]["message"]
