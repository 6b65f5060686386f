"""The house itself: wings under their one name, nothing left out of the package, nothing heavy loaded."""

from __future__ import annotations

import configparser
import json
import os
import shutil
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


def test_the_installed_package_holds_every_file_of_the_tree() -> None:
    """Under tox it is built from the wheel: a folder that setuptools does not find fails here."""
    home = Path(orchestrator.__file__).parent
    missing = []
    for folder, folders, files in os.walk(TREE / "orchestrator", followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        below = Path(folder).relative_to(TREE / "orchestrator")
        missing += [str(below / file) for file in files if not (home / below / file).exists()]
    assert missing == []


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
        "orchestrator.timing.schedules",
        "orchestrator.flows",
        "orchestrator.tasks",
        "orchestrator.running.runner",
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


def contracts() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(TREE / ".importlinter", "utf-8")
    return parser


def floors() -> list[set[str]]:
    """The modules of each floor of the core, the highest first, as the contract has them."""
    lines = contracts()["importlinter:contract:floors"]["layers"].split("\n")
    return [{name.strip(" ()") for name in line.split(":")} for line in lines if line.strip()]


def test_contracts_name_every_module_of_the_sdk() -> None:
    """The floors are exhaustive by themselves; the other contracts list the same modules."""
    order = floors()
    server = order.index({"server"})
    sdk, rules = set().union(*order[server + 1 : -2]), order[-2]
    home = TREE / "orchestrator"
    optional = {name for name in sdk | rules if not ((home / f"{name}.py").exists() or (home / name).is_dir())}
    parser = contracts()

    def listed(contract: str, key: str) -> set[str]:
        return {line.removeprefix("orchestrator.") for line in parser[f"importlinter:contract:{contract}"][key].split()}

    assert listed("server-and-sdk", "forbidden_modules") == sdk - optional
    assert listed("blocks", "forbidden_modules") >= sdk - optional
    assert listed("core-and-wings", "source_modules") >= (sdk | rules) - optional
    assert listed("light", "source_modules") >= (sdk | rules) - optional


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


def test_what_several_kinds_share_is_packaged_without_being_named(tmp_path: Path) -> None:
    """A subpackage of a wing is found through the wing's link, and is built below the wing's name."""
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TREE / name, tmp_path)
    shutil.copytree(TREE / "blocks", tmp_path / "blocks", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "blocks" / "shared_words").mkdir()
    (tmp_path / "blocks" / "shared_words" / "__init__.py").write_text("")
    (tmp_path / "orchestrator").mkdir()
    for name in ("__init__.py", "_version.py"):
        shutil.copy(TREE / "orchestrator" / name, tmp_path / "orchestrator")
    for wing in WINGS:
        (tmp_path / wing).mkdir(exist_ok=True)
        (tmp_path / "orchestrator" / wing).symlink_to(f"../{wing}")
    build = [sys.executable, "-c", "import setuptools; setuptools.setup()", "build", "--build-lib", "built"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    built = tmp_path / "built" / "orchestrator" / "blocks"
    assert (built / "shared_words" / "__init__.py").is_file()
    assert (built / "s3.py").is_file()
    assert not (tmp_path / "built" / "blocks").exists()
