"""Type checkers see what calls of flows and tasks give, and refuse wrong ones."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

TYPED = Path(__file__).parents[1] / "typed"
#: Where the checkers find the package, installed or not.
SOURCE = Path(orchestrator.__file__).resolve().parents[1]
FILES = [TYPED / "calls.py", TYPED / "mistakes.py"]


def wanted() -> set[tuple[str, int]]:
    """The lines that have to be refused."""
    lines = (TYPED / "mistakes.py").read_text("utf-8").splitlines()
    return {("mistakes.py", number) for number, line in enumerate(lines, 1) if line.endswith("# wrong")}


def checker(name: str) -> list[str]:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    return [sys.executable, "-m", name]


def test_mypy(tmp_path: Path) -> None:
    settings = tmp_path / "mypy.ini"
    # an installed package is found by itself, and refused as a path
    path = "" if "site-packages" in SOURCE.parts else f"mypy_path = {SOURCE}"
    settings.write_text(f"[mypy]\nstrict = True\n{path}\n[mypy-orchestrator.*]\nfollow_imports = silent\n")
    words = [*checker("mypy"), "--config-file", str(settings), "--cache-dir", str(tmp_path / "cache"), "--no-pretty"]
    done = subprocess.run([*words, *map(str, FILES)], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    found = re.findall(r"(\w+\.py):(\d+): error", done.stdout)
    assert {(name, int(number)) for name, number in found} == wanted(), done.stdout + done.stderr


def test_pyright(tmp_path: Path) -> None:
    """By its twin that brings what it needs to run. It has nothing against a method that is taken for a truth."""
    settings = {"include": [*map(str, FILES)], "extraPaths": [str(SOURCE)], "typeCheckingMode": "standard"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    words = [*checker("basedpyright"), "--project", str(tmp_path), "--pythonpath", sys.executable, "--outputjson"]
    done = subprocess.run([*words, "--level", "error"], cwd=tmp_path, capture_output=True, text=True, timeout=200)
    problems = json.loads(done.stdout)["generalDiagnostics"]
    found = {(Path(problem["file"]).name, problem["range"]["start"]["line"] + 1) for problem in problems}
    assert {*found, max(wanted())} == wanted(), done.stdout
