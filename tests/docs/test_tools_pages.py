"""The examples of the pages on logs, tests and pictures run as they stand, and do what the pages say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from orchestrator.testing import recorded

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text("utf-8"), re.S)


def run(script: str, folder: Path) -> str:
    file = folder / "example.py"
    file.write_text(script)
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_drawn(tmp_path: Path) -> None:
    first, second = blocks("visualize.md")
    drawn = run(first, tmp_path).splitlines()
    assert drawn[0] == "flowchart TD"
    assert {"    n0 -.-> n1", "    n0 --> n2", "    n1 --> n2"} <= set(drawn)
    assert run(second, tmp_path) == "3 nodes\n"


def test_the_commands_on_pictures(tmp_path: Path) -> None:
    (tmp_path / "flows.py").write_text(blocks("visualize.md")[0])
    (script,) = blocks("visualize.md", "sh")
    words = script.replace("orchestrator ", f"{sys.executable} -m orchestrator ")
    done = subprocess.run(["sh", "-ec", words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "nightly.svg").read_text("utf-8").startswith("<svg")


def test_tests_without_a_server(tmp_path: Path) -> None:
    for block in blocks("testing.md")[:2]:
        run(block, tmp_path)


def test_tests_with_a_server(tmp_path: Path) -> None:
    """And that the fixture is the same one."""
    block = blocks("testing.md")[2]
    run(block + "    with orchestrator_test_harness() as inner:\n        assert inner is server\n", tmp_path)
    (conftest,) = blocks("testing.md", "py")
    (tmp_path / "conftest.py").write_text(conftest)
    (tmp_path / "test_nothing.py").write_text("def test_unused(): pass\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, timeout=60, check=True, capture_output=True)


def test_the_log_that_the_page_shows() -> None:
    (block,) = blocks("logs.md")
    (shown,) = blocks("logs.md", "text")
    with recorded() as seen:
        space: dict[str, Any] = {"__name__": "page"}
        exec(block, space)
        space["nightly"]()
    assert seen.messages == shown.splitlines()
