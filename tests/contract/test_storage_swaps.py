"""One storage is swapped for another, and the code that uses it stays as it is: built, fetched, written and read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import CodeNotLoadable
from orchestrator.interfaces import FileSystem
from orchestrator.projects import snapshots

from .conftest import WRITABLE

CODE = "from lib.sums import add\n\n\ndef flow():\n    return add(20, 22)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "flow.py").write_text(CODE)
    (folder / "lib" / "sums.py").write_text("def add(one, other):\n    return one + other\n")
    script = folder / "run.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize("kind", WRITABLE)
def test_a_project_is_built_into_any_storage_and_fetched_from_it(
    storage: Callable[[str], FileSystem], kind: str, project: Path, tmp_path: Path
) -> None:
    files = storage(kind)
    sent: list[str] = []
    snapshot = snapshots.upload(project, files, "flows/example", lambda done, total, name: sent.append(name))
    assert sorted(sent) == ["flow.py", "lib/sums.py", "run.sh"]
    assert snapshots.upload(project, files, "flows/example", lambda *facts: sent.append("again")) == snapshot
    assert "again" not in sent
    code = snapshots.ensure(lambda: files, "flows/example", snapshot, tmp_path / "cache")
    assert (code / "flow.py").read_text() == CODE
    assert (code / "run.sh").stat().st_mode & 0o100
    copy = snapshots.working_copy(code, tmp_path / "run")
    assert (copy / "lib" / "sums.py").is_file()
    # What a run leaves behind: the same lines for every storage.
    files.write("results/run.json", b"42")
    assert files.read("results/run.json") == b"42"
    with pytest.raises(CodeNotLoadable, match="not in storage"):
        snapshots.ensure(lambda: files, "flows/example", "0" * 64, tmp_path / "cache")


def test_the_snapshot_is_the_same_in_every_storage(storage: Callable[[str], FileSystem], project: Path) -> None:
    assert len({snapshots.upload(project, storage(kind), "flows") for kind in ("local", "s3", "gcs")}) == 1
