"""``orchestrator deployment``: from a folder to a file to a deployment to a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.block import use_store
from orchestrator.blocks.json import JSON
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.projects import deployments
from orchestrator.projects.deployments import Document

from ..test_block import MemoryStore
from .conftest import Cli, Done
from .fake_api import FakeApi, fake_api_fixture  # noqa: F401 - pytest finds them here

FLOW = "from orchestrator import flow\n\n@flow\ndef shop(limit: int = 3):\n    '''Sells.'''\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flow.py").write_text(FLOW)
    (folder / "helper.py").write_text("VALUE = 1\n")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(autouse=True)
def storage(tmp_path: Path) -> Iterator[Path]:
    """A block ``local-file-system/code``, and one that is no file system."""
    with use_store(MemoryStore()):
        LocalFileSystem(basepath=str(tmp_path / "storage")).save("code")
        JSON(value=1).save("a")
        yield tmp_path / "storage"


def build(cli: Cli, *words: str) -> Done:
    return cli("deployment", "build", "./", "-n", "First deployment", "-sb", "local-file-system/code", *words)


class TestBuild:
    def test_it_uploads_and_writes_a_file(self, cli: Cli, project: Path, storage: Path) -> None:
        told = build(cli, "-q", "duck", "-t", "a", "--param", "limit=5", "--cron", "0 9 * * *", "--version", "1.0")
        assert (told.code, told.out) == (0, ""), told.err
        (document,) = deployments.read(project / "first-deployment-deployment.yaml")
        assert document.address == "shop/First deployment"
        assert (document.entrypoint, document.description) == ("flow.py:shop", "Sells.")
        assert (document.work_queue, document.tags, document.parameters) == ("duck", ["a"], {"limit": 5})
        assert document.schedules == [{"cron": "0 9 * * *"}]
        assert document.version == "1.0"
        assert document.storage is not None
        assert (document.storage["block"], document.storage["path"]) == ("local-file-system/code", "shop")
        assert (storage / "shop" / document.storage["snapshot"] / "manifest.json").is_file()

    def test_limits_and_labels_go_into_the_file_and_stay_there(self, cli: Cli, project: Path) -> None:
        build(cli, "-o", "d.yaml", "--limit", "1", "--collision", "cancel-new", "--require-label", "gpu")
        for words in ([], ["--limit", "0"]):
            assert build(cli, "-o", "d.yaml", *words).code == 0
        (document,) = deployments.read(project / "d.yaml")
        assert (document.concurrency_limit, document.collision, document.labels) == (0, "cancel-new", ["gpu"])
        assert build(cli, "--limit", "-1").code == 2

    def test_an_unchanged_project_uploads_nothing_and_writes_the_same(
        self, cli: Cli, project: Path, storage: Path
    ) -> None:
        build(cli, "-o", "d.yaml")
        before = (project / "d.yaml").read_text(), sorted(os.walk(storage))
        told = build(cli, "-o", "d.yaml")
        assert "nothing to upload" in told.err
        assert before == ((project / "d.yaml").read_text(), sorted(os.walk(storage)))

    def test_what_people_wrote_into_the_file_stays(self, cli: Cli, project: Path) -> None:
        build(cli, "-o", "d.yaml")
        text = (project / "d.yaml").read_text()
        (project / "d.yaml").write_text(text.replace("tags: []", "tags: [mine]").replace("Sells.", "Ours."))
        (project / "helper.py").write_text("VALUE = 2\n")
        assert build(cli, "-o", "d.yaml", "-q", "duck").code == 0
        (document,) = deployments.read(project / "d.yaml")
        assert (document.tags, document.description, document.work_queue) == (["mine"], "Ours.", "duck")

    def test_a_file_of_another_deployment_is_not_overwritten(self, cli: Cli, project: Path) -> None:
        build(cli, "-o", "d.yaml")
        told = cli("deployment", "build", "./", "-n", "other", "-sb", "local-file-system/code", "-o", "d.yaml")
        assert told.code == 2
        assert "d.yaml holds shop/First deployment already" in told.err

    def test_skip_upload_writes_the_hash_alone(self, cli: Cli, project: Path, storage: Path) -> None:
        assert build(cli, "--skip-upload", "-o", "d.yaml").code == 0
        assert not storage.exists()
        (document,) = deployments.read(project / "d.yaml")
        assert document.storage is not None
        assert len(document.storage["snapshot"]) == 64

    def test_the_storage_block_may_name_a_path(self, cli: Cli, project: Path, storage: Path) -> None:
        words = ["deployment", "build", "./", "-n", "n", "-sb", "local-file-system/code/team/flows", "-o", "d.yaml"]
        assert cli(*words).code == 0
        assert [path.name for path in (storage / "team").iterdir()] == ["flows"]

    def test_apply_follows_at_once(self, cli: Cli, project: Path, fake_api: FakeApi) -> None:
        words = ("-ib", "process/a", "--override", "working_dir=/x", "-rb", "s3/dev/kept/here")
        told = build(cli, "--apply", *words)
        assert told.out == "created shop/First deployment\n"
        made = fake_api.deployments["shop/First deployment"]
        assert made["infrastructure"] == {"block": "process/a", "overrides": {"working_dir": "/x"}}
        assert made["results"] == {"block": "s3/dev", "path": "kept/here"}

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--param", "limit"], "'limit' is not KEY=VALUE"),
            (["--params", "[1]"], "give a JSON object"),
            (["--params", "{"], "this is no JSON"),
            (["--param", "limit=many"], "parameters.limit does not fit the flow's signature"),
            (["--param", "limti=1"], "parameters.limti is no parameter of the flow; did you mean limit?"),
            (["--cron", "61 * * * *"], "cron: "),
            (["--cron", "0 9 * * *", "--interval", "5m"], "exactly one of cron, interval and rrule"),
            (["--timezone", "Europe/Berlin"], "--timezone needs one of --cron, --interval and --rrule"),
            (["-sb", "code"], "write TYPE/NAME or TYPE/NAME/PATH"),
            (["-sb", "json/a"], "the block json/a is no file system"),
            (["-ib", "process"], "write TYPE/NAME, such as process/default"),
            (["-rb", "s3"], "write TYPE/NAME or TYPE/NAME/PATH, such as s3/dev/results"),
        ],
    )
    def test_a_mistake_is_one_line_and_leaves_nothing(
        self, cli: Cli, project: Path, storage: Path, words: list[str], message: str
    ) -> None:
        told = build(cli, *words)
        assert told.code == 2
        assert message in told.err
        assert told.err.count("\n") == 1
        assert sorted(os.listdir(project)) == ["flow.py", "helper.py"]
        assert not storage.exists()

    def test_without_a_storage_block_the_code_stays_where_it_is(self, cli: Cli, project: Path) -> None:
        told = cli("deployment", "build", "./", "-n", "n", "-o", "d.yaml")
        assert f"no --storage-block: runs use the code in {project} itself" in told.err
        (document,) = deployments.read(project / "d.yaml")
        assert document.storage == {"block": None, "path": str(project), "snapshot": None}

    def test_several_flows_are_listed(self, cli: Cli, project: Path) -> None:
        (project / "other.py").write_text(FLOW.replace("shop", "second"))
        told = build(cli)
        assert told.code == 2
        assert "flow.py:shop, other.py:second" in told.err

    def test_an_entrypoint_that_does_not_import_is_wrong_use(self, cli: Cli, project: Path, storage: Path) -> None:
        (project / "flow.py").write_text("import nothing_there\n" + FLOW)
        told = build(cli)
        assert (told.code, told.err.count("\n")) == (2, 1)
        assert "flow.py:shop" in told.err
        assert "nothing_there" in told.err
        assert not storage.exists()


def write(path: Path, *names: str, **facts: object) -> str:
    deployments.write(path, [Document("shop", name, "flow.py:shop", **facts) for name in names])  # type: ignore[arg-type]
    return str(path)


class TestApply:
    def test_created_updated_unchanged(self, cli: Cli, fake_api: FakeApi, tmp_path: Path) -> None:
        file = write(tmp_path / "d.yaml", "one", "two")
        assert cli("deployment", "apply", file).out == "created shop/one\ncreated shop/two\n"
        assert cli("deployment", "apply", file).out == "unchanged shop/one\nunchanged shop/two\n"
        write(tmp_path / "d.yaml", "one", tags=["new"])
        assert cli("deployment", "apply", file).out == "updated shop/one\n  tags changed\n"

    def test_json_is_one_document(self, cli: Cli, fake_api: FakeApi, tmp_path: Path) -> None:
        told = cli("deployment", "apply", write(tmp_path / "d.yaml", "one"), "--output", "json")
        assert told.json[0]["created"] is True
        assert told.err == "created shop/one\n"

    def test_one_invalid_file_stops_all(self, cli: Cli, fake_api: FakeApi, tmp_path: Path) -> None:
        good = write(tmp_path / "good.yaml", "one")
        (tmp_path / "bad.yaml").write_text("flow: f\nname: n\nentrypont: x\n")
        told = cli("deployment", "apply", good, str(tmp_path / "bad.yaml"))
        assert told.code == 2
        assert "bad.yaml:3: entrypont is no key of a deployment; did you mean entrypoint?" in told.err
        assert fake_api.deployments == {}

    def test_the_same_deployment_twice_is_refused(self, cli: Cli, fake_api: FakeApi, tmp_path: Path) -> None:
        told = cli("deployment", "apply", write(tmp_path / "d.yaml", "one", "one"))
        assert (told.code, fake_api.calls) == (2, [])
        assert "shop/one stands in" in told.err

    def test_what_the_api_refuses_is_one_line(self, cli: Cli, fake_api: FakeApi, tmp_path: Path) -> None:
        told = cli("deployment", "apply", write(tmp_path / "d.yaml", "refused"))
        assert (told.code, told.err.count("\n")) == (2, 1)
        assert "s3/none" in told.err


@pytest.fixture
def applied(cli: Cli, fake_api: FakeApi, tmp_path: Path) -> str:
    schedules = [{"cron": "0 9 * * *"}, {"interval": "5m", "active": False}]
    cli("deployment", "apply", write(tmp_path / "d.yaml", "one", schedules=schedules))
    return "shop/one"


class TestRun:
    def test_it_starts_a_run_with_its_parameters(self, cli: Cli, fake_api: FakeApi, applied: str) -> None:
        words = ["--params", '{"limit": 1, "x": null}', "--param", "limit=2", "--param", "name=a text", "-t", "b"]
        words += ["--priority", "7"]
        told = cli("deployment", "run", "one", *words, "--output", "json")
        (run,) = fake_api.runs.values()
        assert told.json["id"] == run["id"]
        assert run["body"] == {"parameters": {"limit": 2, "x": None, "name": "a text"}, "tags": ["b"], "priority": 7}

    def test_later(self, cli: Cli, fake_api: FakeApi, applied: str) -> None:
        cli("deployment", "run", applied, "--at", "2026-01-31T09:00:00Z")
        (run,) = fake_api.runs.values()
        assert run["body"]["due"].isoformat() == "2026-01-31T09:00:00+00:00"
        assert cli("deployment", "run", applied, "--at", "now", "--in", "+5m").code == 2

    @pytest.mark.parametrize(("end", "code"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 1), ("CRASHED", 1)])
    def test_watch_exits_0_only_when_completed(
        self, cli: Cli, fake_api: FakeApi, applied: str, end: str, code: int
    ) -> None:
        fake_api.states = [end]
        told = cli("deployment", "run", applied, "--watch", "--output", "json")
        assert (told.code, told.json["state"]["type"]) == (code, end)
        assert "hello from the run" in told.err

    def test_a_deployment_that_is_not_there(self, cli: Cli, fake_api: FakeApi) -> None:
        told = cli("deployment", "run", "shop/none")
        assert (told.code, told.err.count("\n")) == (1, 1)


def test_ls_and_inspect(cli: Cli, applied: str) -> None:
    assert [item["name"] for item in cli("deployment", "ls", "--output", "json").json] == ["one"]
    table = cli("deployment", "ls").out
    assert "shop/one" in table
    assert "0 9 * * *" in table
    assert "every 300 s (off)" in table
    assert cli("deployment", "inspect", "one", "--output", "json").json["entrypoint"] == "flow.py:shop"


def test_inspect_as_yaml_is_the_file_that_gives_the_same_deployment(
    cli: Cli, fake_api: FakeApi, applied: str, tmp_path: Path
) -> None:
    (tmp_path / "again.yaml").write_text(cli("deployment", "inspect", applied, "--output", "yaml").out)
    assert "# Laid over the defaults of the flow's signature." in (tmp_path / "again.yaml").read_text()
    assert cli("deployment", "apply", str(tmp_path / "again.yaml")).out == f"unchanged {applied}\n"


def test_the_limit_is_set_and_lifted(cli: Cli, fake_api: FakeApi, applied: str) -> None:
    assert cli("deployment", "set-limit", applied, "2", "--collision", "cancel-new").code == 0
    facts = fake_api.deployments[applied]
    assert (facts["concurrency_limit"], facts["collision"]) == (2, "cancel-new")
    assert cli("deployment", "set-limit", applied, "none").err == "shop/one: unlimited (cancel-new)\n"
    assert fake_api.deployments[applied]["concurrency_limit"] is None
    refused = cli("deployment", "set-limit", applied, "many")
    assert (refused.code, "none" in refused.err) == (2, True)


def test_pause_resume_delete(cli: Cli, fake_api: FakeApi, applied: str) -> None:
    assert cli("deployment", "pause", applied).err == "shop/one is paused\n"
    assert fake_api.deployments[applied]["paused"] is True
    assert cli("deployment", "resume", applied).err == "shop/one is resumed\n"
    assert cli("deployment", "delete", applied).code == 2
    assert cli("deployment", "delete", applied, "--yes").code == 0
    assert fake_api.deployments == {}
