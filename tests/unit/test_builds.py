"""Building: the flow that is meant, imported in a fresh process from exactly what is uploaded (pains 18 and 49)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from orchestrator.errors import CodeNotLoadable, InvalidInput
from orchestrator.projects import builds
from orchestrator.projects.builds import FlowFacts, compose, find_flow, flows_in, split_target
from orchestrator.projects.deployments import Document

FLOW = """
from orchestrator import flow
from lib.process import VALUE

@flow(name="shop", version="2.1")
def main(limit: int = 3, names: list[str] | None = None):
    '''Sells things.

    Args:
        limit: How many.
    '''
    return limit * VALUE
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "lib").mkdir(parents=True)
    (folder / "flow.py").write_text(FLOW)
    (folder / "lib" / "__init__.py").touch()
    (folder / "lib" / "process.py").write_text("from .rules import VALUE\n")
    (folder / "lib" / "rules.py").write_text("VALUE = 2\n")
    return folder


def test_a_target_is_a_folder_with_or_without_entrypoint(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project.parent)
    assert split_target("project") == split_target("./project/") == (project, "")
    assert split_target("./project:flow.py:main") == (project, "flow.py:main")
    assert split_target("project/flow.py:main") == (project, "flow.py:main")
    assert split_target("project/flow.py") == (project, "flow.py")
    monkeypatch.chdir(project)
    assert split_target("./:main") == split_target(":main") == (project, "main")
    with pytest.raises(InvalidInput, match="there is no folder or file nowhere"):
        split_target("nowhere:main")


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from orchestrator import flow\n@flow\ndef a(): ...\n@flow(name='x')\nasync def b(): ...\n", ["a", "b"]),
        ("from orchestrator import flow as f\n@f\ndef a(): ...\n", ["a"]),
        ("import orchestrator as o\n@o.flow(retries=1)\ndef a(): ...\n", ["a"]),
        ("from orchestrator.flows import flow\n@flow\ndef a(): ...\n", ["a"]),
        ("from orchestrator import task\n@task\ndef a(): ...\ndef b(): ...\n", []),
        ("class A:\n    @other.flow\n    def a(self): ...\n", []),
        ("def broken(:\n", []),
    ],
)
def test_flows_are_seen_without_importing(tmp_path: Path, code: str, names: list[str]) -> None:
    (tmp_path / "a.py").write_text(f"{code}\nraise SystemExit\n" if "broken" not in code else code)
    assert [*flows_in(tmp_path, ["a.py", "readme.md"])] == [f"a.py:{name}" for name in names]


def test_the_one_flow_of_a_folder_is_found_with_its_facts(project: Path) -> None:
    facts = find_flow(project)
    assert (facts.entrypoint, facts.flow) == ("flow.py:main", "shop")
    assert facts.description.startswith("Sells things.")
    assert facts.version == "2.1"
    properties = facts.parameter_schema["properties"]
    assert [*properties] == ["limit", "names"]
    assert (properties["limit"]["type"], properties["limit"]["default"]) == ("integer", 3)


@pytest.mark.parametrize("entrypoint", ["flow.py:main", "flow.py", "main", "flow:main"])
def test_an_entrypoint_may_be_named_in_part(project: Path, entrypoint: str) -> None:
    assert find_flow(project, entrypoint).flow == "shop"


def test_several_flows_are_listed(project: Path) -> None:
    (project / "other.py").write_text("from orchestrator import flow\n@flow\ndef second(): ...\n")
    with pytest.raises(InvalidInput, match=r"several flows.*: flow.py:main, other.py:second|several flows") as caught:
        find_flow(project)
    assert "flow.py:main, other.py:second" in str(caught.value)
    assert find_flow(project, "other.py").flow == "second"


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("flwo.py", r"there is no file flwo.py in .*; did you mean flow.py\?"),
        ("lib/rules.py", r"no function with @flow in .* fits 'lib/rules.py'"),
        ("nothing", r"fits 'nothing'"),
    ],
)
def test_what_fits_no_flow_is_one_line(project: Path, entrypoint: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        find_flow(project, entrypoint)


def test_a_folder_without_a_flow_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.py").touch()
    with pytest.raises(InvalidInput, match="holds no function with @flow; name the entrypoint"):
        find_flow(tmp_path)


class TestImports:
    """The check happens where an agent would be: another folder, another process, only what is uploaded."""

    def test_a_missing_module_is_named_with_the_entrypoint(self, project: Path) -> None:
        (project / "lib" / "rules.py").write_text("import no_such_module\n")
        with pytest.raises(CodeNotLoadable, match="no_such_module") as caught:
            find_flow(project)
        assert "flow.py:main" in str(caught.value)
        assert "orchestrator-build-" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_what_is_ignored_is_not_there(self, project: Path) -> None:
        (project / ".orchestratorignore").write_text("rules.py\n")
        with pytest.raises(CodeNotLoadable, match=r"lib.rules"):
            find_flow(project)

    def test_the_builders_folder_does_not_help(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (project.parent / "only_here.py").touch()
        (project / "lib" / "rules.py").write_text("import only_here\n")
        monkeypatch.chdir(project.parent)
        with pytest.raises(CodeNotLoadable, match="only_here"):
            find_flow(project)

    def test_nothing_is_imported_into_this_process_nor_written_into_the_project(self, project: Path) -> None:
        (project / "lib" / "rules.py").write_text("VALUE = 1\nopen('written', 'w').close()\nprint('noise')\n")
        before = sorted(os.walk(project))
        find_flow(project)
        assert sorted(os.walk(project)) == before
        assert not {"flow", "lib", "lib.rules"} & {*sys.modules}

    @pytest.mark.parametrize(
        ("code", "message"),
        [
            ("raise ValueError('no luck')", "ValueError.*no luck"),
            ("import sys; sys.exit(3)", "flow.py:main"),
            ("import os; os.write(2, b'bye'); os._exit(7)", r"ended the process \(exit code 7\): bye"),
            ("def broken(:", "SyntaxError|syntax"),
        ],
    )
    def test_whatever_an_import_does_is_one_line(self, project: Path, code: str, message: str) -> None:
        (project / "lib" / "rules.py").write_text(code + "\n")
        with pytest.raises(CodeNotLoadable, match=message) as caught:
            find_flow(project)
        assert "\n" not in str(caught.value)

    def test_an_import_that_hangs_is_ended(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(builds, "IMPORT_TIMEOUT", 3.0)
        (project / "lib" / "rules.py").write_text("import time; time.sleep(600)\n")
        with pytest.raises(CodeNotLoadable, match="not imported within 3 s"):
            find_flow(project)


SCHEMA = {"type": "object", "properties": {"limit": {"type": "integer"}}, "additionalProperties": False}
FACTS = FlowFacts("flow.py:main", "shop", "Sells things.", SCHEMA, "2.1")


def test_a_first_build_takes_what_the_flow_tells() -> None:
    document = compose(FACTS, "n", {"parameters": {"limit": 1}})
    assert document == Document(
        "shop", "n", "flow.py:main", description="Sells things.", version="2.1", parameters={"limit": 1},
        parameter_schema=SCHEMA,
    )  # fmt: skip


def test_a_later_build_keeps_what_people_wrote_into_the_file() -> None:
    old = Document(
        flow="shop",
        name="n",
        entrypoint="old.py:main",
        description="Ours.",
        tags=["a"],
        infrastructure={"block": "process/a", "overrides": {"x": 1}},
        parameters={"limit": 1},
        schedules=[{"cron": "1 1 * * *"}],
        source="x",
    )
    document = compose(FACTS, "n", {"tags": ["b"], "infrastructure": {"block": None, "overrides": {"y": 2}}}, old)
    assert document.infrastructure == {"block": "process/a", "overrides": {"x": 1, "y": 2}}
    assert (document.description, document.tags, document.schedules) == ("Ours.", ["b"], old.schedules)
    assert (document.entrypoint, document.parameter_schema) == ("flow.py:main", SCHEMA)


def test_parameters_that_no_longer_fit_are_named() -> None:
    old = Document("shop", "n", "a:b", parameters={"limit": 1, "lost": 2}, schedules=[{"parameters": {"limit": "x"}}])
    with pytest.raises(InvalidInput) as caught:
        compose(FACTS, "n", {}, old)
    assert "parameters.lost is no parameter of the flow" in str(caught.value)
    assert "schedules[0].parameters.limit does not fit" in str(caught.value)
