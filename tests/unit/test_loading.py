"""Loading flows from projects: by file, by module, and what is said when it does not work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.errors import CodeNotLoadable
from orchestrator.projects.loading import load_flow

FLOW = "from orchestrator import flow\n\n\n@flow\ndef {name}():\n    return {value}\n"


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    modules, path = set(sys.modules), list(sys.path)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]
    sys.path[:] = path


def test_a_file_with_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "flow_here.py").write_text("import helper_here\n" + FLOW.format(name="go", value="helper_here.VALUE"))
    (tmp_path / "helper_here.py").write_text("VALUE = 7\n")
    assert load_flow(tmp_path, "flow_here.py:go")() == 7
    assert sys.path[0] == str(tmp_path.resolve())


def test_a_package_with_relative_imports_by_file_and_by_module(tmp_path: Path) -> None:
    package = tmp_path / "shop_pkg"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lib.py").write_text("VALUE = 8\n")
    (package / "main.py").write_text(FLOW.format(name="go", value="VALUE") + "\n\nfrom .lib import VALUE\n")
    by_file = load_flow(tmp_path, "shop_pkg/main.py:go")
    assert by_file() == 8
    assert load_flow(tmp_path, "shop_pkg.main:go") is by_file


def test_a_file_in_a_plain_folder_finds_its_neighbours_and_the_root(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "root_lib.py").write_text("VALUE = 1\n")
    (tmp_path / "jobs" / "side_lib.py").write_text("VALUE = 2\n")
    (tmp_path / "jobs" / "main_job.py").write_text(
        "import root_lib, side_lib\n" + FLOW.format(name="go", value="root_lib.VALUE + side_lib.VALUE")
    )
    assert load_flow(tmp_path, "jobs/main_job.py:go")() == 3


@pytest.mark.parametrize("name", ["json", "my-flow", "flow"])
def test_names_that_are_taken_or_are_none_are_loaded_all_the_same(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(FLOW.format(name="go", value="5"))
    import json

    assert load_flow(tmp_path, f"{name}.py:go")() == 5
    assert sys.modules["json"] is json


def test_a_missing_module_is_named_with_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "broken_flow.py").write_text("import no_such_module_here\n")
    with pytest.raises(CodeNotLoadable) as caught:
        load_flow(tmp_path, "broken_flow.py:go")
    told = str(caught.value)
    for part in ("broken_flow.py:go", "missing module: no_such_module_here", os.getcwd(), str(tmp_path)):
        assert part in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("content", "entrypoint", "names"),
    [
        ("x = 1\n", "f.py:go", "it has no flow"),
        (FLOW.format(name="other", value=1), "f.py:go", "its flows are other"),
        ("def go(): pass\n", "f.py:go", "put @flow above it"),
        ("go = 3\n", "f.py:go", "is no flow"),
        ("import sys\nsys.exit(3)\n", "f.py:go", "SystemExit"),
        ("def go(:\n", "f.py:go", "SyntaxError"),
        ("", "missing.py:go", "is not in"),
        ("", "../f.py:go", "is not in"),
        ("", "f.py", "path/to/file.py:function"),
        ("", "no.such.module:go", "missing module: no"),
    ],
)
def test_what_cannot_be_loaded_says_why(tmp_path: Path, content: str, entrypoint: str, names: str) -> None:
    (tmp_path / "f.py").write_text(content)
    with pytest.raises(CodeNotLoadable, match=names):
        load_flow(tmp_path, entrypoint)
