"""Environments with what projects require: which one a project gets, and when one may go."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import BlockError
from orchestrator.workers.agent import environments

HERE = Path(sys.executable)


def project(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def key(folder: Path) -> str:
    wanted = environments.wanted_by(folder)
    assert wanted is not None
    return environments._key(folder, HERE, *wanted)


def test_what_a_project_requires(tmp_path: Path) -> None:
    both = project(tmp_path / "both", requirements__txt="a\n", pyproject__toml="[project]\ndependencies = ['b']\n")
    assert environments.wanted_by(both) == ("requirements.txt", ["-r", "requirements.txt"])
    one = project(tmp_path / "one", pyproject__toml="[project]\ndependencies = ['b>1', 'c']\n")
    assert environments.wanted_by(one) == ("pyproject.toml", ["b>1", "c"])
    assert environments.wanted_by(project(tmp_path / "tool", pyproject__toml="[tool.x]\ny = 1\n")) is None
    assert environments.wanted_by(project(tmp_path / "none")) is None
    assert environments.ensure(tmp_path / "none", HERE, tmp_path / "cache") is None


@pytest.mark.parametrize("text", ["[project", "project = 3\n", "[project]\ndependencies = 3\n"])
def test_a_broken_pyproject_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(BlockError, match=r"pyproject\.toml"):
        environments.wanted_by(project(tmp_path / "broken", pyproject__toml=text))


def test_the_same_requirements_give_the_same_environment(tmp_path: Path) -> None:
    one = project(tmp_path / "one", requirements__txt="-r more.txt\na==1\n", more__txt="b\n")
    two = project(tmp_path / "two", requirements__txt="-r more.txt\na==1\n", more__txt="b\n")
    assert key(one) == key(two)
    (two / "more.txt").write_text("b<2\n")
    assert key(one) != key(two), "a file that is included counts"


@pytest.mark.parametrize("line", ["-e .", "./libs/tool", "tool @ file:///srv/tool", "/srv/tool.whl"])
def test_what_lies_in_the_project_is_its_own(tmp_path: Path, line: str) -> None:
    one = project(tmp_path / "one", requirements__txt=line + "\n")
    two = project(tmp_path / "two", requirements__txt=line + "\n")
    assert key(one) != key(two)


def test_an_interpreter_is_found_by_path_environment_or_name(tmp_path: Path) -> None:
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    python = tmp_path / "venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    assert environments.find_interpreter(str(tmp_path / "venv")) == python
    assert environments.find_interpreter(str(python)) == python
    assert environments.find_interpreter("python3").name == "python3"
    for wrong in ("/no/such", str(tmp_path), "no-such-python"):
        with pytest.raises(BlockError, match="no interpreter"):
            environments.find_interpreter(wrong)


def test_what_was_not_used_for_long_goes(tmp_path: Path) -> None:
    for name, age in (("old", 31), ("kept", 31), ("new", 1)):
        (tmp_path / name).mkdir()
        mark = tmp_path / name / environments.WHOLE
        mark.write_text("{}")
        os.utime(mark, (time.time() - age * 86_400,) * 2)
    assert environments.prune(tmp_path, keep="kept") == ["old"]
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["kept", "new"]


def test_the_agents_packages_are_lent_without_its_standard_library() -> None:
    folders = environments.package_folders()
    assert any((Path(folder) / "pydantic").is_dir() for folder in folders)
    assert not any((Path(folder) / "os.py").exists() for folder in folders)
