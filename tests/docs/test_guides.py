"""The tutorial and the guides for those who come from elsewhere: their examples run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import expectations
from orchestrator.documents import yaml_texts

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "tutorial.md", *sorted((DOCS / "guides").glob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_scripts_run_and_say_what_came_of_it(page: Path, tmp_path: Path) -> None:
    scripts = blocks(page, "python")
    assert scripts
    for number, text in enumerate(scripts):
        script = tmp_path / f"example_{number}.py"
        script.write_text(text)
        done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip(), f"{page.name} {number}: it prints nothing"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_expectations_are_read(page: Path) -> None:
    for text in blocks(page, "yaml"):
        [document] = yaml_texts.load_all(text)
        assert expectations.read(document).name == document["name"]
