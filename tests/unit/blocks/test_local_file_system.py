"""What the test of a local folder says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.errors import InvalidInput, Unavailable


def test_a_folder_says_whether_it_can_be_used(tmp_path: Path) -> None:
    files = LocalFileSystem(basepath=str(tmp_path / "flows"))
    assert "yet" in files.test()
    assert not (tmp_path / "flows").exists()
    files.write("a.txt", b"1")
    assert files.test() == f"The folder {tmp_path / 'flows'} can be read and written."


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="is a file"):
        LocalFileSystem(basepath=str(tmp_path / "file")).test()


def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert LocalFileSystem(basepath=str(tmp_path)).test().endswith("but not written.")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(Unavailable, match="may not be read"):
        LocalFileSystem(basepath=str(tmp_path)).test()
