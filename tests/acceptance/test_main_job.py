"""The main job: a folder becomes a deployment, a deployment becomes runs on an agent elsewhere."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from orchestrator import examples

from ..projects import write_numbers
from ..stack import Stack


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """An S3 bucket on a server of this machine, and how to reach it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    facts = {"endpoint_url": f"http://{host}:{port}", "access_key_id": "test", "secret_access_key": "test"}
    client = boto3.client(
        "s3",
        endpoint_url=facts["endpoint_url"],
        aws_access_key_id="test",
        aws_secret_access_key="test",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="code")
    yield {**facts, "bucket": "code", "region": "us-east-1"}
    client.close()
    server.stop()


def create_block(stack: Stack, reference: str, fields: dict[str, str]) -> None:
    values = [word for key, value in fields.items() for word in ("--set", f"{key}={value}")]
    done = stack.cli("block", "create", reference, *values)
    assert done.returncode == 0, done.stderr


def deploy(stack: Stack, project: Path, storage: str, queue: str) -> None:
    built = stack.cli(
        "deployment", "build", "./", "--storage-block", storage, "--name", "nightly", "--work-queue", queue,
        "-o", "deployment.yaml", cwd=project,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    applied = stack.cli("deployment", "apply", "deployment.yaml", cwd=project)
    assert applied.returncode == 0, applied.stderr


def run_once(stack: Stack, **parameters: object) -> dict[str, object]:
    words = [word for key, value in parameters.items() for word in ("--param", f"{key}={value}")]
    run = stack.json("deployment", "run", "numbers/nightly", *words)
    return stack.wait_for_run(run["id"])


@pytest.mark.parametrize("kind", ["local-file-system", "s3"])
def test_built_here_runs_there(stack: Stack, tmp_path: Path, bucket: dict[str, str], kind: str) -> None:
    here, there = write_numbers(tmp_path / "here"), tmp_path / "there"
    there.mkdir()
    name = f"store-{uuid.uuid4().hex[:6]}"
    fields = {"basepath": str(tmp_path / "store")} if kind == "local-file-system" else bucket
    create_block(stack, f"{kind}/{name}", fields)
    deploy(stack, here, f"{kind}/{name}/projects", "duck")

    with stack.agent("duck", cwd=there):
        first, second = run_once(stack, upto=3), run_once(stack, upto=4)
        assert [first["state"]["type"], second["state"]["type"]] == ["COMPLETED", "COMPLETED"], first["state"]
        assert [first["result"], second["result"]] == [{"value": 6}, {"value": 12}]

        write_numbers(here, factor=10)
        deploy(stack, here, f"{kind}/{name}/projects", "duck")
        changed = run_once(stack, upto=3)
        assert changed["result"] == {"value": 30}
        assert changed["snapshot"] != first["snapshot"]

    messages = stack.logs(str(first["id"]))
    assert "counting up to 3" in messages
    assert "marker=" in messages
    artifacts = stack.client.get("artifacts", params={"flow_run_id": first["id"]})["items"]
    assert [artifact["data"] for artifact in artifacts] == ["# 6"]
    tasks = stack.client.get("task-runs", params={"flow_run_id": first["id"]})["items"]
    assert {task["state"]["type"] for task in tasks} == {"COMPLETED"}
    assert len(tasks) == 3


@pytest.mark.parametrize("kind", ["local-file-system", "s3"])
def test_the_example_runs_elsewhere(stack: Stack, tmp_path: Path, bucket: dict[str, str], kind: str) -> None:
    here, there, name = tmp_path / "here", tmp_path / "there", f"store-{uuid.uuid4().hex[:6]}"
    there.mkdir()
    shutil.copytree(Path(examples.__file__).parent / "flights", here)
    create_block(stack, f"{kind}/{name}", {"basepath": str(tmp_path / "store")} if kind != "s3" else bucket)
    words = ["deployment", "build", "./flow.py:flight_delays", "-n", name, "-sb", f"{kind}/{name}", "-q", name]
    words += ["--param", f"database={tmp_path / 'flights.sqlite'}", "-o", "deployment.yaml", "--apply"]

    def run() -> dict[str, object]:
        return stack.wait_for_run(stack.json("deployment", "run", f"flight-delays/{name}")["id"])

    with stack.agent(name, cwd=there):
        assert stack.cli(*words, cwd=here).returncode == 0
        first, second = run(), run()
        with (here / "lib" / "report.py").open("a") as helper:
            helper.write("\nprint('a changed helper')\n")
        assert stack.cli(*words, cwd=here).returncode == 0
        changed = run()
    assert [found["state"]["type"] for found in (first, second, changed)] == ["COMPLETED"] * 3
    assert first["result"] == second["result"] == changed["result"]
    assert "a changed helper" in stack.logs(str(changed["id"]))
    assert "a changed helper" not in stack.logs(str(second["id"]))


def test_applying_twice_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    project = write_numbers(tmp_path / "project")
    name = f"store-{uuid.uuid4().hex[:6]}"
    create_block(stack, f"local-file-system/{name}", {"basepath": str(tmp_path / "store")})
    deploy(stack, project, f"local-file-system/{name}", "duck")
    before = stack.json("deployment", "inspect", "numbers/nightly")

    again = stack.cli("deployment", "apply", "deployment.yaml", cwd=project)

    assert again.returncode == 0
    assert "unchanged" in again.stdout + again.stderr
    assert stack.json("deployment", "inspect", "numbers/nightly") == before
