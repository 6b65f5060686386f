"""The house itself: wings under their one name, nothing left out of the package, nothing heavy loaded."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

TREE = Path(__file__).resolve().parents[2]
WINGS = ("blocks", "examples", "web", "workers")
SERVER_LIBRARIES = ("flask", "flask_smorest", "sqlalchemy", "celery", "kombu", "marshmallow", "alembic", "psycopg")


def loaded_by(statement: str) -> set[str]:
    """The modules in a fresh process after a statement."""
    program = f"{statement}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(json.loads(done.stdout))


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(TREE / "setup.cfg", "utf-8")
    return parser


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_refuses_its_second_name(wing: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import {wing}"],
        cwd=TREE, env={**os.environ, "PYTHONSAFEPATH": "", "PYTHONPATH": str(TREE)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert f"import orchestrator.{wing}" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("wing", WINGS)
def test_a_wing_is_linked_into_the_package(wing: str) -> None:
    link = TREE / "orchestrator" / wing
    assert link.is_symlink()
    assert os.readlink(link) == f"../{wing}"
    assert setup_cfg()["options"]["package_dir"].split().count(f"orchestrator.{wing}") == 1


def test_setuptools_finds_every_folder_that_holds_code() -> None:
    """By its own means, in the tree as it is: links are followed, as a build does."""
    from setuptools import find_packages

    found = set(find_packages(str(TREE), include=["orchestrator", "orchestrator.*"]))
    folders = {
        ".".join(Path(folder).relative_to(TREE).parts)
        for folder, _, files in os.walk(TREE / "orchestrator", followlinks=True)
        if any(file.endswith(".py") for file in files) and "__pycache__" not in folder
    }
    # A project that is shipped as data: its folders are copied whole, and are no packages of ours.
    code = {folder for folder in folders if not folder.startswith("orchestrator.examples.")}
    assert code <= found, f"without __init__.py: {sorted(code - found)}"


def test_the_installed_package_holds_the_files_that_are_no_code() -> None:
    home = Path(orchestrator.__file__).parent
    for pattern in (
        "py.typed",
        "server/db/migrations/script.py.mako",
        "server/db/migrations/versions/0001_*.py",
        "web/templates/*.html",
        "web/static/*",
        "examples/flights/**/*.csv",
    ):
        assert list(home.glob(pattern)), f"{pattern} is not in the package"


@pytest.mark.skipif("TOX_ENV_NAME" not in os.environ, reason="only tox installs the wheel")
def test_tests_run_against_the_wheel() -> None:
    assert TREE not in Path(orchestrator.__file__).resolve().parents or ".tox" in Path(orchestrator.__file__).parts


def test_import_orchestrator_loads_names_only() -> None:
    modules = loaded_by("import orchestrator")
    heavy = {*SERVER_LIBRARIES, "pydantic", "orjson", "urllib3", "rich", "click", "croniter", "boto3"}
    assert modules & heavy == set()
    assert not {name for name in modules if name.startswith("orchestrator.")} - {"orchestrator._version"}


@pytest.mark.parametrize(
    "module",
    [
        "orchestrator.client",
        "orchestrator.reporting",
        "orchestrator.block",
        "orchestrator.schedules",
        "orchestrator.flows",
        "orchestrator.tasks",
        "orchestrator.runner",
    ],
)
def test_the_sdk_loads_nothing_of_the_server(module: str) -> None:
    modules = loaded_by(f"import {module}")
    assert modules & set(SERVER_LIBRARIES) == set()
    assert not {name for name in modules if name.startswith("orchestrator.server")}


def test_the_public_names_are_there() -> None:
    for name in orchestrator.__all__:
        assert getattr(orchestrator, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        orchestrator.nonsense  # noqa: B018
    assert set(orchestrator.__all__) <= set(dir(orchestrator))


def test_entry_points_lead_somewhere() -> None:
    from importlib import import_module

    points = setup_cfg()["options.entry_points"]
    for group in points:
        for line in filter(None, points[group].splitlines()):
            module, _, attribute = line.partition("=")[2].strip().partition(":")
            assert getattr(import_module(module), attribute)


def test_requirements_of_extras_have_a_lowest_version() -> None:
    parser = setup_cfg()
    lines = parser["options"]["install_requires"].splitlines()
    lines += [line for extra in parser["options.extras_require"].values() for line in extra.splitlines()]
    assert [line for line in lines if line and not any(sign in line for sign in (">=", "=="))] == []


def test_modules_import_what_they_need_at_their_head_only() -> None:
    """Imports of ours inside functions hide circles; the command line and the lazy package are the exceptions."""
    import ast

    wrong = []
    for folder in ("orchestrator", *WINGS[:1], *WINGS[2:]):
        for path in (TREE / folder).rglob("*.py"):
            parts = path.relative_to(TREE).parts
            if parts[:2] == ("orchestrator", "cli") or parts == ("orchestrator", "__init__.py"):
                continue
            if parts[0] == "orchestrator" and parts[1] in WINGS:
                continue
            for function in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    wrong += [f"{'/'.join(parts)}:{node.lineno}" for node in ast.walk(function) if ours(node)]
    assert wrong == []


def ours(node: object) -> bool:
    import ast

    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] == "orchestrator" for name in node.names)
    return isinstance(node, ast.ImportFrom) and (node.level > 0 or (node.module or "").split(".")[0] == "orchestrator")
