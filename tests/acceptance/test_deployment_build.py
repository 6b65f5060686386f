"""From a folder to a deployment on a real server: build, apply, and what they say and refuse."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import pytest

from orchestrator.block import Block, use_store
from orchestrator.blocks.json import JSON
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.errors import AccessDenied, Conflict, NotFound
from orchestrator.projects import deployments
from orchestrator.stored.block_store import ApiBlockStore

from ..polling import one_line
from ..projects import write_numbers
from ..stack import Stack


@pytest.fixture
def storage(stack: Stack, tmp_path: Path) -> str:
    """A storage block of the test's own."""
    reference = f"local-file-system/store-{uuid.uuid4().hex[:8]}"
    done = stack.cli("block", "create", reference, "--set", f"basepath={tmp_path / 'store'}")
    assert done.returncode == 0, done.stderr
    return reference


def build(stack: Stack, project: Path, storage: str, name: str, *words: str) -> str:
    words = ("deployment", "build", "./", "-n", name, "-sb", storage, "-o", "d.yaml", "--apply", *words)
    done = stack.cli(*words, cwd=project)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_build_and_apply_say_what_they_did(stack: Stack, tmp_path: Path, storage: str) -> None:
    project, name = write_numbers(tmp_path / "project"), f"n-{uuid.uuid4().hex[:8]}"
    assert build(stack, project, storage, name, "--cron", "0 9 * * *") == f"created numbers/{name}\n"
    first = stack.json("deployment", "inspect", f"numbers/{name}")
    assert build(stack, project, storage, name) == f"unchanged numbers/{name}\n"
    assert stack.json("deployment", "inspect", f"numbers/{name}") == first

    write_numbers(project, factor=3)
    told = build(stack, project, storage, name, "-q", "duck", "--param", "upto=5").splitlines()
    assert told[0] == f"updated numbers/{name}"
    assert any("snapshot" in line for line in told[1:])
    assert any("upto" in line for line in told[1:])
    changed = stack.json("deployment", "inspect", f"numbers/{name}")
    assert changed["id"] == first["id"]
    assert (changed["work_queue"], changed["parameters"]) == ("duck", {"upto": 5})
    assert [item["cron"] for item in changed["schedules"]] == ["0 9 * * *"]
    assert changed["storage"]["block"] == storage
    snapshot = tmp_path / "store" / changed["storage"]["path"] / changed["storage"]["snapshot"]
    assert len(json.loads((snapshot / "manifest.json").read_text())["files"]) == 4


def test_what_the_server_shows_fits_the_file(stack: Stack, tmp_path: Path, storage: str) -> None:
    project, name = write_numbers(tmp_path / "project"), f"n-{uuid.uuid4().hex[:8]}"
    build(stack, project, storage, name, "-t", "one", "--version", "1.0", "--interval", "1h30m")
    (document,) = deployments.read(project / "d.yaml")
    shown = stack.json("deployment", "inspect", name)
    for key, value in document.body().items():
        if key == "flow":
            assert shown["flow"]["name"] == value
        elif key in ("storage", "schedules"):
            assert isinstance(value, (dict, list))
        else:
            assert shown[key] == value, key
    assert shown["schedules"][0]["interval"] == 5400


def test_pause_resume_delete(stack: Stack, tmp_path: Path, storage: str) -> None:
    project, name = write_numbers(tmp_path / "project"), f"n-{uuid.uuid4().hex[:8]}"
    build(stack, project, storage, name)
    for verb, paused in (("pause", True), ("resume", False)):
        assert stack.cli("deployment", verb, name).returncode == 0
        assert stack.json("deployment", "inspect", name)["paused"] is paused
    assert name in [item["name"] for item in stack.json("deployment", "ls", "--flow", "numbers")]
    refused = stack.cli("block", "delete", storage, "--yes")
    assert refused.returncode == 1
    assert f"{storage} is used by deployment numbers/{name}" in one_line(refused.stderr.splitlines()[-1])
    assert stack.cli("deployment", "delete", f"numbers/{name}", "--yes").returncode == 0
    assert stack.cli("deployment", "inspect", name).returncode == 1


def test_a_parameter_that_the_signature_lost_is_refused_at_build(stack: Stack, tmp_path: Path, storage: str) -> None:
    project, name = write_numbers(tmp_path / "project"), f"n-{uuid.uuid4().hex[:8]}"
    build(stack, project, storage, name, "--param", "upto=5")
    before = stack.json("deployment", "inspect", name), (project / "d.yaml").read_text()
    main = (project / "main.py").read_text()
    (project / "main.py").write_text(main.replace("upto", "count"))
    done = stack.cli("deployment", "build", "./", "-n", name, "-sb", storage, "-o", "d.yaml", "--apply", cwd=project)
    assert done.returncode == 2
    assert "parameters.upto is no parameter of the flow" in one_line(done.stderr)
    assert (stack.json("deployment", "inspect", name), (project / "d.yaml").read_text()) == before


def test_an_unknown_block_in_a_file_changes_nothing(stack: Stack, tmp_path: Path, storage: str) -> None:
    project, name = write_numbers(tmp_path / "project"), f"n-{uuid.uuid4().hex[:8]}"
    build(stack, project, storage, name)
    text = (project / "d.yaml").read_text()
    (project / "d.yaml").write_text(text.replace(storage, "local-file-system/nowhere").replace("tags: []", "tags: [x]"))
    done = stack.cli("deployment", "apply", "d.yaml", cwd=project)
    assert done.returncode == 2
    assert "local-file-system/nowhere" in one_line(done.stderr)
    assert stack.json("deployment", "inspect", name)["tags"] == []


class TestBlocksFromCode:
    """``Block.save`` and ``Block.load`` against the server."""

    @pytest.fixture(autouse=True)
    def own_store(self, stack: Stack, tmp_path: Path) -> object:
        with use_store(ApiBlockStore(stack.client)) as store:
            yield store

    def test_saved_loaded_overwritten_deleted(self, stack: Stack, tmp_path: Path) -> None:
        name = f"b-{uuid.uuid4().hex[:8]}"
        JSON(value={"a": 1}).save(name)
        JSON(value="another, whose name begins alike").save(f"{name}-more")
        with pytest.raises(Conflict):
            JSON(value=2).save(name)
        JSON(value=2).save(name, overwrite=True)
        assert JSON.load(name).get() == 2
        assert isinstance(Block.load(f"json/{name}-more"), JSON)
        assert JSON.load(f"{name}-more").get() == "another, whose name begins alike"
        JSON.delete_saved(name)
        with pytest.raises(NotFound):
            JSON.load(name)

    def test_a_secret_is_masked_for_whoever_only_looks(self, stack: Stack) -> None:
        name = f"b-{uuid.uuid4().hex[:8]}"
        done = stack.cli("block", "create", f"secret/{name}", "--set", "value=canary-value")
        assert done.returncode == 0, done.stderr
        shown = stack.cli("block", "inspect", f"secret/{name}").stdout + stack.cli("block", "ls").stdout
        assert "canary-value" not in shown + done.stdout + done.stderr
        loaded = Block.load(f"secret/{name}")
        assert loaded.get() == "canary-value"  # type: ignore[attr-defined]

    def test_a_block_of_a_block_follows_a_rotation(self, stack: Stack, tmp_path: Path) -> None:
        name = f"b-{uuid.uuid4().hex[:8]}"
        source = tmp_path / f"kind_{uuid.uuid4().hex[:8]}.py"
        source.write_text(
            "from orchestrator.block import Block\nfrom orchestrator.blocks.secret import Secret\n"
            f"class Holder(Block):\n    _slug = 'holder-{name}'\n    secret: Secret\n"
        )
        assert stack.cli("block", "register", str(source)).returncode == 0
        assert stack.cli("block", "create", f"secret/{name}", "--set", "value=old").returncode == 0
        words = ("block", "create", f"holder-{name}/a", "--set", f"secret=secret/{name}")
        assert stack.cli(*words).returncode == 0
        assert stack.cli("block", "create", f"secret/{name}", "--set", "value=new", "--overwrite").returncode == 0
        document = stack.client.post(f"blocks/holder-{name}/a/load")
        assert document["data"]["secret"]["data"] == {"value": "new"}


def test_access_is_denied_without_a_key(stack: Stack, tmp_path: Path) -> None:
    LocalFileSystem(basepath=str(tmp_path))
    with use_store(ApiBlockStore(type(stack.client)(stack.client.api_url, "orc_wrong"))), pytest.raises(AccessDenied):
        Block.load("json/any")
