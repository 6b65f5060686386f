"""Results too large to be kept with their run: where they go, that they are read back, and what stands in the way."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from orchestrator import flow, reporting, settings
from orchestrator.block import Block
from orchestrator.blocks.json import JSON
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.client import Client
from orchestrator.errors import BlockError, Conflict, InvalidInput, NotFound
from orchestrator.keeping.result_storage import ResultStorage, read_result
from orchestrator.server.db.models import TemplateReference
from orchestrator.server.db.session import reading
from tests.live_api import Api

LARGE = [{"row": number, "text": "é"} for number in range(1000)]


@flow
def inner() -> Any:
    return LARGE


@flow
def outer() -> Any:
    inner()
    return LARGE


@flow
def small() -> int:
    return 3


def run_of(called: Callable[..., Any]) -> dict[str, Any]:
    """The run of a call, once all that it reported has arrived."""
    state = called(return_state=True)
    assert state.is_completed()
    assert reporting.process_reporter(settings.load()).flush(20)
    run: dict[str, Any] = Client.from_settings().get(f"flow-runs/{state.run_id}")
    return run


def warnings(run: dict[str, Any]) -> list[str]:
    return [line["message"] for line in Client.from_settings().pages("logs", {"flow_run_id": run["id"], "level": 30})]


@pytest.fixture
def files(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    LocalFileSystem(basepath=str(tmp_path / "files")).save("results")
    monkeypatch.setenv("ORCHESTRATOR_RESULT_STORAGE", "local-file-system/results")
    return tmp_path / "files"


def test_large_results_of_runs_by_hand_and_their_subflows_lie_in_the_block(files: Path) -> None:
    run = run_of(outer)
    kept = run["result"]
    assert kept["block"] == Client.from_settings().get("blocks/local-file-system/results")["id"]
    assert kept["path"] == f"results/{run['id']}-1.json"
    assert (files / kept["path"]).stat().st_size == kept["size"] > 20_000
    assert read_result(run["id"]) == LARGE
    [below] = Client.from_settings().get("flow-runs", {"parent_flow_run_id": run["id"]})["items"]
    assert read_result(uuid.UUID(below["id"])) == LARGE
    assert len([*files.rglob("*.json")]) == 2
    assert warnings(run) == []


def test_small_results_stay_with_the_run(files: Path) -> None:
    run = run_of(small)
    assert run["result"] == {"value": 3}
    assert read_result(run["id"]) == 3
    assert not files.exists()


@pytest.mark.parametrize("block", ["local-file-system/none", "json/results", "local-file-system/broken"])
def test_what_cannot_be_written_is_a_warning_and_no_failure(
    files: Path, block: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    LocalFileSystem(basepath=str(tmp_path / "a-file")).save("broken")
    JSON(value=1).save("results")
    monkeypatch.setenv("ORCHESTRATOR_RESULT_STORAGE", block)
    run = run_of(outer)
    assert (run["state"]["type"], run["result"]) == ("COMPLETED", None)
    [told] = warnings(run)
    assert f"was not stored in the block {block}: " in told
    with pytest.raises(NotFound, match="kept no result"):
        read_result(run["id"])


def test_what_became_of_a_result_is_told(files: Path) -> None:
    run = run_of(outer)
    place = files / run["result"]["path"]
    place.write_bytes(b"{")
    with pytest.raises(BlockError, match="is no result any more"):
        read_result(run["id"])
    place.unlink()
    with pytest.raises(NotFound, match="there is no file results/"):
        read_result(run["id"])
    LocalFileSystem.delete_saved("results")
    with pytest.raises(NotFound, match=r"where the result of the flow run .* was deleted"):
        read_result(run["id"])


@pytest.mark.parametrize(("path", "folder"), [("a/{{ env.ZONE }}", "a/eu"), ("", "results"), (".", "results")])
def test_a_folder_may_hold_templates(files: Path, path: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZONE", "eu")
    kept = ResultStorage("local-file-system/results", path).write("r.json", b"1", settings.load())
    assert kept["path"] == f"{folder}/r.json"
    assert (files / folder / "r.json").read_bytes() == b"1"


class TestDeployments:
    """``results`` in a deployment's document."""

    @staticmethod
    def apply(**more: Any) -> Any:
        return Client.from_settings().post(
            "deployments", {"flow": "f", "name": "a", "entrypoint": "a.py:f", "work_queue": "q", **more}
        )

    def test_it_is_kept_shown_changed_and_counted_as_use(self, files: Path) -> None:
        client = Client.from_settings()
        LocalFileSystem(basepath=str(files)).save("other")
        client.put("variables/zone", {"value": "eu"})
        asked = {"block": "local-file-system/results", "path": "a/{{ variables.zone }}"}
        made = self.apply(results=asked)["deployment"]
        assert {**asked, "block_id": made["results"]["block_id"]} == made["results"]
        [user] = client.get("blocks/local-file-system/results/usage")["deployments"]
        assert (user["name"], user["as"]) == ("a", "results")
        with pytest.raises(Conflict, match="deployment f/a"):
            client.delete("blocks/local-file-system/results")

        asked = {"block": "local-file-system/other", "path": "b"}
        changed = self.apply(results=asked)
        assert changed["changes"] == [
            "results: local-file-system/results -> local-file-system/other",
            "path of results: a/{{ variables.zone }} -> b",
        ]
        client.delete("blocks/local-file-system/results")
        client.delete("blocks/local-file-system/other", params={"force": True})
        left = client.get("deployments/f/a")
        assert left["results"]["block"] is None
        assert "results block local-file-system/other was deleted" in left["not_ready"]
        assert self.apply()["deployment"]["results"] == {"block": None, "block_id": None, "path": ""}

    def test_its_own_block_goes_with_it(self, files: Path) -> None:
        client = Client.from_settings()
        own = {"type": "local-file-system", "data": {"basepath": str(files)}}
        block_id = self.apply(results={"block": own})["deployment"]["results"]["block_id"]
        assert isinstance(Block.load(block_id), LocalFileSystem)
        client.delete("deployments/f/a")
        with pytest.raises(NotFound):
            client.get(f"blocks/{block_id}")

    def test_a_template_of_the_folder_is_use_of_its_block(self, files: Path) -> None:
        JSON(value="eu").save("zone")
        self.apply(results={"block": "local-file-system/results", "path": "{{ blocks.json.zone }}"})
        with reading() as session:
            assert session.scalars(select(TemplateReference.field)).all() == ["results.path"]

    @pytest.mark.parametrize(
        ("results", "field"),
        [
            ({"block": "s3/none"}, "results.block"),
            ({"block": "json/no-files"}, "results.block"),
            ({"path": "x"}, "results.block"),
            ({"block": "local-file-system/results", "path": "/x"}, "results.path"),
            ({"block": "local-file-system/results", "path": "{{ variables.none }}"}, "results.path"),
            ({"block": "local-file-system/results", "folder": "x"}, "results.folder"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, files: Path, results: dict[str, Any], field: str) -> None:
        JSON(value=1).save("no-files")
        with pytest.raises(InvalidInput, match=f"^{field}: "):
            self.apply(results=results)
