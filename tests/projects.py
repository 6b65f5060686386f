"""Small flow projects that tests deploy."""

from __future__ import annotations

from pathlib import Path

MAIN = '''
from orchestrator import flow, task, get_run_logger, create_markdown_artifact

from lib.process import double


@task
def twice(number: int) -> int:
    return double(number)


@flow
def numbers(upto: int = 3, marker: str = "") -> int:
    """Add doubled numbers."""
    get_run_logger().info("counting up to %s", upto)
    results = [future.result() for future in twice.map(range(upto))]
    print(f"marker={marker}")
    create_markdown_artifact(f"# {sum(results)}", key="sum")
    if marker:
        with open(marker, "a") as file:
            file.write("x")
    return sum(results)
'''

PROCESS = """
from .rules import FACTOR


def double(number):
    return number * FACTOR
"""


def write_numbers(folder: Path, factor: int = 2) -> Path:
    """A project whose flow imports a package that imports a package's neighbour."""
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    (folder / "main.py").write_text(MAIN)
    (folder / "lib" / "__init__.py").write_text("")
    (folder / "lib" / "process.py").write_text(PROCESS)
    (folder / "lib" / "rules.py").write_text(f"FACTOR = {factor}\n")
    return folder


def write_flow(folder: Path, body: str, name: str = "job", imports: str = "import os, time") -> Path:
    """A project of one file with one flow, whose body is ``body`` (indented by four spaces)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flow.py").write_text(f"{imports}\nfrom orchestrator import flow, task\n\n\n@flow\ndef {name}{body}\n")
    return folder
