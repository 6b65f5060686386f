"""Snapshots: what is kept, what is refused, and that a fetched one is whole or not there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.errors import CodeNotLoadable, InvalidInput, Unavailable
from orchestrator.projects import snapshots


class Counting(LocalFileSystem):
    """A file system that tells what was written."""

    def write(self, path: str, content: object) -> None:
        written.append(path)
        super().write(path, content)  # type: ignore[arg-type]


written: list[str] = []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "flow.py").write_text("from lib import helper\n")
    (folder / "lib" / "__init__.py").write_text("")
    (folder / "lib" / "helper.py").write_text("VALUE = 1\n")
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o700)
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> Counting:
    written.clear()
    return Counting(basepath=str(tmp_path / "storage"))


def paths(folder: Path, *ignore: str) -> list[str]:
    return [entry.path for entry in snapshots.manifest(folder, ignore)]


def fetch(storage: LocalFileSystem, snapshot: str, cache: Path | None = None) -> Path:
    return snapshots.ensure(lambda: storage, "flows", snapshot, cache)


def test_a_manifest_is_ordered_and_keeps_whether_a_file_may_be_executed(project: Path) -> None:
    entries = snapshots.manifest(project)
    assert [(entry.path, oct(entry.mode), entry.size) for entry in entries] == [
        ("flow.py", "0o644", 23),
        ("lib/__init__.py", "0o644", 0),
        ("lib/helper.py", "0o644", 10),
        ("run.sh", "0o755", 10),
    ]


def test_the_hash_is_of_content_alone(project: Path, tmp_path: Path) -> None:
    first = snapshots.snapshot_hash(snapshots.manifest(project))
    moved = project.rename(tmp_path / "elsewhere")
    os.utime(moved / "flow.py", (1, 1))
    (moved / "flow.py").chmod(0o600)
    assert snapshots.snapshot_hash(snapshots.manifest(moved)) == first


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "flow.py").write_text("x"),
        lambda folder: (folder / "flow.py").chmod(0o755),
        lambda folder: (folder / "flow.py").rename(folder / "other.py"),
        lambda folder: (folder / "new.py").touch(),
    ],
    ids=["content", "mode", "name", "new file"],
)
def test_any_change_changes_the_hash(project: Path, change: Callable[[Path], object]) -> None:
    first = snapshots.snapshot_hash(snapshots.manifest(project))
    change(project)
    assert snapshots.snapshot_hash(snapshots.manifest(project)) != first


def test_what_is_never_code_is_left_out(project: Path) -> None:
    before = paths(project)
    for name in (".git/HEAD", ".venv/x.py", "lib/__pycache__/a.pyc", ".env", "node_modules/a.js", "a-deployment.yaml"):
        place = project / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    assert paths(project) == before


def test_the_ignore_file_adds_and_takes_back(project: Path) -> None:
    (project / ".env").touch()
    (project / "data").mkdir()
    (project / "data" / "big.csv").touch()
    (project / snapshots.IGNORE_FILE).write_text("data/\n/run.sh\n!.env\n")
    assert paths(project) == [".env", ".orchestratorignore", "flow.py", "lib/__init__.py", "lib/helper.py"]
    assert "flow.py" not in paths(project, "flow.py")


def test_a_link_inside_the_project_is_followed(project: Path) -> None:
    (project / "again.py").symlink_to("flow.py")
    (project / "more").symlink_to("lib")
    assert {"again.py", "more/helper.py"} <= {*paths(project)}


def test_a_link_that_leaves_the_project_is_refused(project: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").touch()
    (project / "lib" / "out").symlink_to(tmp_path / "secret")
    with pytest.raises(InvalidInput, match="link lib/out leaves the project"):
        snapshots.manifest(project)
    assert "flow.py" in paths(project, "out")


def test_links_that_lead_nowhere_or_in_circles_are_refused(project: Path) -> None:
    (project / "gone").symlink_to("nothing")
    with pytest.raises(InvalidInput, match="link gone leads nowhere"):
        snapshots.manifest(project)
    (project / "gone").unlink()
    (project / "lib" / "loop").symlink_to(project)
    with pytest.raises(InvalidInput, match="link lib/loop leads back"):
        snapshots.manifest(project)


def test_a_pipe_is_refused(project: Path) -> None:
    os.mkfifo(project / "pipe")
    with pytest.raises(InvalidInput, match="pipe is neither"):
        snapshots.manifest(project)


def test_an_empty_project_too_many_files_and_too_large_ones_are_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no file"):
        snapshots.manifest(tmp_path / "empty")
    monkeypatch.setattr(snapshots, "MAX_FILES", 3)
    with pytest.raises(InvalidInput, match=r"holds 4 files, more than the 3 .*; 2 are in lib: add"):
        snapshots.manifest(project)
    monkeypatch.setattr(snapshots, "MAX_FILES", 100)
    monkeypatch.setattr(snapshots, "MAX_BYTES", 30)
    with pytest.raises(InvalidInput, match=r"the largest is flow.py"):
        snapshots.manifest(project)


def test_an_unchanged_project_uploads_nothing(project: Path, storage: Counting) -> None:
    first = snapshots.upload(project, storage, "flows")
    assert written[-1] == f"flows/{first}/manifest.json"
    assert len(written) == 5
    written.clear()
    assert snapshots.upload(project, storage, "flows") == first
    assert written == []


def test_an_upload_tells_its_progress(project: Path, storage: Counting) -> None:
    seen: list[tuple[int, int, str]] = []
    snapshots.upload(project, storage, "flows", lambda *facts: seen.append(facts))
    assert seen[-1][:2] == (43, 43)


def test_an_upload_that_broke_off_is_not_there_and_is_done_again(project: Path, storage: Counting) -> None:
    class Broken(Counting):
        def write(self, path: str, content: object) -> None:
            if path.endswith("helper.py"):
                raise Unavailable("disk full")
            super().write(path, content)

    with pytest.raises(Unavailable):
        snapshots.upload(project, Broken(basepath=storage.basepath), "flows")
    snapshot = snapshots.snapshot_hash(snapshots.manifest(project))
    assert not snapshots.exists(storage, "flows", snapshot)
    assert snapshots.upload(project, storage, "flows") == snapshot
    assert snapshots.exists(storage, "flows", snapshot)


def test_files_that_change_during_the_upload_are_noticed(project: Path, storage: Counting) -> None:
    with pytest.raises(InvalidInput, match="changed while"):
        snapshots.upload(project, storage, "flows", lambda *_: (project / "flow.py").write_text("changed"))
    assert not any(path.endswith("manifest.json") for path in written)


def test_a_fetched_snapshot_is_the_project(project: Path, storage: Counting, own_home: Path) -> None:
    (project / "lib" / "__pycache__").mkdir()
    place = fetch(storage, snapshots.upload(project, storage, "flows"))
    assert place.parent == own_home / "cache" / "code"
    assert snapshots.manifest(place) == snapshots.manifest(project)


def test_a_fetched_snapshot_is_not_fetched_again(project: Path, storage: Counting) -> None:
    snapshot = snapshots.upload(project, storage, "flows")
    place = fetch(storage, snapshot)

    def no_storage() -> LocalFileSystem:
        raise AssertionError("fetched again")

    assert snapshots.ensure(no_storage, "flows", snapshot) == place


def test_a_working_copy_imports_its_own_changed_module(project: Path, storage: Counting, tmp_path: Path) -> None:
    copies = []
    for value in (1, 2):
        (project / "lib" / "helper.py").write_text(f"VALUE = {value}\n")
        code = fetch(storage, snapshots.upload(project, storage, "flows"))
        copies.append(snapshots.working_copy(code, tmp_path / f"run{value}"))
    assert [*copies[0].glob("lib/__pycache__/helper.*.pyc")]
    for value, copy in enumerate(copies, 1):
        script = "import lib.helper as h; print(h.VALUE, h.__file__, h.__cached__)"
        told = subprocess.run([sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, check=True)
        assert told.stdout.split()[:2] == [str(value), str(copy / "lib" / "helper.py")]


def test_a_working_copy_is_fresh_each_time(project: Path, tmp_path: Path) -> None:
    copy = snapshots.working_copy(project, tmp_path / "run")
    (copy / "left.txt").touch()
    assert not (snapshots.working_copy(project, tmp_path / "run") / "left.txt").exists()
    assert not (project / "left.txt").exists()


def test_what_does_not_compile_is_fetched_all_the_same(project: Path, storage: Counting) -> None:
    (project / "broken.py").write_text("def (:\n")
    (project / "odd.py").write_text("x = 1 is 1\n")
    assert (fetch(storage, snapshots.upload(project, storage, "flows")) / "broken.py").exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda root: (root / "files/flow.py").write_text("evil"), "flow.py .* is damaged"),
        (lambda root: (root / "files/flow.py").unlink(), "lacks flow.py"),
        (lambda root: (root / "manifest.json").unlink(), "is not in storage"),
        (lambda root: (root / "manifest.json").write_text("{"), "manifest .* is damaged"),
        (lambda root: change_manifest(root / "manifest.json"), "does not fit its hash"),
    ],
    ids=["changed", "missing", "no manifest", "broken manifest", "other manifest"],
)
def test_a_damaged_snapshot_is_refused_and_never_cached(
    project: Path, storage: Counting, tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    snapshot = snapshots.upload(project, storage, "flows")
    damage(Path(storage.basepath, "flows", snapshot))
    with pytest.raises(CodeNotLoadable, match=message):
        fetch(storage, snapshot, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [f".{snapshot}.lock"]


def change_manifest(path: Path) -> None:
    document = json.loads(path.read_text())
    document["files"][0]["path"] = "../../evil"
    path.write_text(json.dumps(document))


def test_files_that_the_manifest_does_not_name_are_dropped(project: Path, storage: Counting) -> None:
    snapshot = snapshots.upload(project, storage, "flows")
    storage.write(f"flows/{snapshot}/files/extra.py", b"")
    assert not (fetch(storage, snapshot) / "extra.py").exists()


@pytest.mark.parametrize("locks", [True, False], ids=["locks", "no locks"])
def test_many_at_once_get_one_whole_folder(
    project: Path, storage: Counting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    if not locks:
        monkeypatch.setattr(snapshots, "fcntl", None)
    snapshot = snapshots.upload(project, storage, "flows")
    wanted, found, together = snapshots.manifest(project), [], threading.Barrier(8)

    def one() -> None:
        together.wait()
        found.append(snapshots.manifest(fetch(storage, snapshot, tmp_path / "cache")))

    threads = [threading.Thread(target=one) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 8
    assert {path.name for path in (tmp_path / "cache").iterdir()} == {snapshot, f".{snapshot}.lock"}


def test_the_cache_lets_go_of_the_longest_unused(tmp_path: Path) -> None:
    for age, name in enumerate(["new", "old", "older", "oldest", ".fetching-x", ".gone.lock"]):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age * 86_000, time.time() - age * 86_000))
    assert snapshots.prune(tmp_path, keep=2) == ["oldest", "older"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]
