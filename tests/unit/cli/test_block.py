"""``orchestrator block``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.blocks.process import Process
from orchestrator.kinds import block_kinds

from .conftest import Cli
from .fake_api import FakeApi, fake_api_fixture  # noqa: F401 - pytest finds them here

OWN_KIND = """
from pydantic import SecretStr
from orchestrator.block import Block
from orchestrator.blocks.json import JSON

class Warehouse(Block):
    url: str
    token: SecretStr
    settings: JSON | None = None
    size: int = 1
"""


@pytest.fixture
def own_kind(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / f"kinds_{tmp_path.name}.py"
    path.write_text(OWN_KIND)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(block_kinds, "classes", dict(block_kinds.classes))
    assert cli("block", "register", str(path)).code == 0


def test_register_tells_the_server_of_a_files_own_kinds(
    fake_api: FakeApi, cli: Cli, own_kind: None, tmp_path: Path
) -> None:
    assert [*fake_api.types] == ["warehouse"]
    assert fake_api.types["warehouse"]["import_path"] == f"kinds_{tmp_path.name}:Warehouse"


@pytest.mark.parametrize(
    ("content", "message"),
    [("x = 1\n", "defines no block"), ("import nothing_there\n", "does not import"), ("1/0\n", "ZeroDivisionError")],
)
def test_register_of_what_is_no_kind_is_wrong_use(
    fake_api: FakeApi, cli: Cli, tmp_path: Path, content: str, message: str
) -> None:
    path = tmp_path / "odd_kinds.py"
    path.write_text(content)
    told = cli("block", "register", str(path))
    assert (told.code, told.out, fake_api.types) == (2, "", {})
    assert message in told.err
    assert "no file" in cli("block", "register", "none.py").err


def test_create_makes_a_block_of_a_shipped_kind_and_registers_it(fake_api: FakeApi, cli: Cli) -> None:
    told = cli("block", "create", "local-file-system/code", "--set", "basepath=/srv/flows")
    assert (told.code, told.err) == (0, "saved local-file-system/code\n")
    assert fake_api.blocks["local-file-system/code"]["data"] == {"basepath": "/srv/flows"}
    assert [*fake_api.types] == ["local-file-system"]


def test_create_reads_values_as_the_field_takes_them(fake_api: FakeApi, cli: Cli, own_kind: None) -> None:
    pairs = ["url=5", "token=123", "size=7"]
    told = cli("block", "create", "warehouse/a", *(word for pair in pairs for word in ("--set", pair)))
    assert told.code == 0
    assert fake_api.blocks["warehouse/a"]["data"] == {"url": "5", "token": "123", "size": 7}


def test_create_takes_fields_from_a_file_and_options_over_them(fake_api: FakeApi, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "process.yaml").write_text("env:\n  A: '1'\nworking_dir: /a\n")
    told = cli("block", "create", "process/a", "--from", str(tmp_path / "process.yaml"), "--set", "working_dir=/b")
    assert told.code == 0
    assert fake_api.blocks["process/a"]["data"] == Process(env={"A": "1"}, working_dir="/b").to_document()["data"]


def test_create_leaves_the_names_of_other_blocks_to_the_server(fake_api: FakeApi, cli: Cli, own_kind: None) -> None:
    assert cli("block", "create", "json/shared", "--set", 'value={"a": 1}').code == 0
    words = ["--set", "url=u", "--set", "token=t", "--set", "settings=json/shared"]
    assert cli("block", "create", "warehouse/a", *words).code == 0
    assert fake_api.blocks["warehouse/a"]["data"]["settings"] == "json/shared"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["local-file-system"], "is not TYPE/NAME"),
        (["nothing/a"], "there is no block type nothing"),
        (["process/a", "--set", "env"], "'env' is not FIELD=VALUE"),
        (["process/a", "--set", "evn={}"], "evn is no field of process; the fields are env, working_dir"),
        (["process/a", "--set", 'env={"1": "x"}'], "'1' cannot name an environment variable"),
        (["local-file-system/a"], "basepath must be given: --set basepath=..."),
    ],
)
def test_create_refuses_with_one_line_and_saves_nothing(
    fake_api: FakeApi, cli: Cli, words: list[str], message: str
) -> None:
    told = cli("block", "create", *words)
    assert told.code in (1, 2)
    assert message in told.err
    assert told.err.count("\n") == 1
    assert fake_api.blocks == {}


class Person:
    """Answers questions in order; keeps what was asked, and whether the answer was hidden."""

    def __init__(self, *answers: str, optional: bool = False) -> None:
        self.answers = [*answers]
        self.optional = optional
        self.asked: list[tuple[str, bool]] = []

    def prompt(self, text: str, hide_input: bool = False, **_: Any) -> str:
        self.asked.append((text, hide_input))
        return self.answers.pop(0)


Answers = Callable[..., Person]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Somebody sits there, and gives these answers."""

    def sit(*texts: str, optional: bool = False) -> Person:
        person = Person(*texts, optional=optional)
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        monkeypatch.setattr("click.prompt", person.prompt)
        monkeypatch.setattr("click.confirm", lambda *_, **__: person.optional)
        return person

    return sit


def test_create_asks_for_what_is_missing_and_hides_secrets(
    fake_api: FakeApi, cli: Cli, own_kind: None, answers: Answers
) -> None:
    person = answers("u", "t")
    assert cli("block", "create", "warehouse/a").code == 0
    assert person.asked == [("Url", False), ("Token", True)]
    assert fake_api.blocks["warehouse/a"]["data"] == {"url": "u", "token": "t"}


def test_create_asks_for_optional_fields_where_wanted_and_again_for_what_does_not_fit(
    fake_api: FakeApi, cli: Cli, own_kind: None, answers: Answers
) -> None:
    cli("block", "create", "json/shared", "--set", "value=1")
    person = answers("u", "t", "9", "1", "many", "7", optional=True)
    told = cli("block", "create", "warehouse/a")
    assert told.code == 0
    assert [title for title, _ in person.asked] == ["Url", "Token", "settings", "settings", "Size [1]", "Size [1]"]
    assert "1) json/shared" in told.err
    assert "answer with a number, TYPE/NAME or new, not '9'" in told.err
    assert "size: 'many' is not of type 'integer'" in told.err
    data = fake_api.blocks["warehouse/a"]["data"]
    assert data == {"url": "u", "token": "t", "settings": {"$block": fake_api.blocks["json/shared"]["id"]}, "size": 7}


def test_create_makes_a_block_in_a_block_in_place(
    fake_api: FakeApi, cli: Cli, own_kind: None, answers: Answers
) -> None:
    answers("u", "t", "new", "inner", '{"a": 1}', "", optional=True)
    assert cli("block", "create", "warehouse/a").code == 0
    assert fake_api.blocks["json/inner"]["data"] == {"value": {"a": 1}}
    data = fake_api.blocks["warehouse/a"]["data"]
    assert data == {"url": "u", "token": "t", "settings": {"$block": fake_api.blocks["json/inner"]["id"]}}


def test_create_leaves_out_fields_that_the_others_make_pointless(fake_api: FakeApi, cli: Cli, answers: Answers) -> None:
    properties = {
        "kind": {"type": "string", "enum": ["key", "role"], "default": "role", "position": 0},
        "role": {"type": "string", "x-shown-when": {"kind": ["role"]}, "position": 2},
        "key": {"type": "string", "x-shown-when": {"kind": ["key"]}, "position": 1},
    }
    fake_api.types["access"] = {"slug": "access", "interfaces": [], "schema": {"properties": properties}}
    person = answers("", "admin", optional=True)
    assert cli("block", "create", "access/a").code == 0
    assert [title for title, _ in person.asked] == ["kind (key, role) [role]", "role"]
    assert fake_api.blocks["access/a"]["data"] == {"role": "admin"}


def test_rotate_gives_new_secrets_and_tells_who_has_them_next(
    fake_api: FakeApi, cli: Cli, own_kind: None, answers: Answers
) -> None:
    cli("block", "create", "warehouse/a", "--set", "url=u", "--set", "token=old")
    fake_api.usage = {"deployments": [{"id": "d", "flow": "etl", "name": "main", "as": "template"}]}
    told = cli("block", "rotate", "warehouse/a", "--set", "token=new-canary")
    assert (told.code, told.out) == (0, "")
    assert told.err.startswith("rotated token of warehouse/a")
    assert "deployment etl/main (as template)" in told.err
    assert "canary" not in told.err
    assert fake_api.blocks["warehouse/a"]["data"] == {"url": "u", "token": "new-canary"}
    person = answers("newer")
    assert cli("block", "rotate", "warehouse/a").code == 0
    assert person.asked == [("Token", True)]
    answers("")
    assert "secrets stay as they are" in cli("block", "rotate", "warehouse/a").err
    assert fake_api.blocks["warehouse/a"]["data"] == {"url": "u", "token": "newer"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["warehouse/a", "--set", "url=x"], "url is no secret of warehouse; these can be rotated: token"),
        (["warehouse/a"], "give new values: --set token=..., or --from FILE"),
        (["json/a"], "json/a has no secret"),
    ],
)
def test_rotate_refuses_with_one_line(
    fake_api: FakeApi, cli: Cli, own_kind: None, words: list[str], message: str
) -> None:
    cli("block", "create", "warehouse/a", "--set", "url=u", "--set", "token=old")
    cli("block", "create", "json/a", "--set", "value=1")
    told = cli("block", "rotate", *words)
    assert told.code == 2
    assert message in told.err
    assert told.err.count("\n") == 1


def test_a_taken_name_needs_overwrite(fake_api: FakeApi, cli: Cli) -> None:
    words = ["block", "create", "secret/a", "--set", "value=one"]
    cli(*words)
    assert "already" in cli(*words).err
    told = cli(*words[:-1], "value=two", "--overwrite")
    assert (told.code, told.err) == (0, "changed secret/a\n")
    assert fake_api.blocks["secret/a"]["data"] == {"value": "two"}


def test_overwrite_keeps_what_is_not_given(fake_api: FakeApi, cli: Cli, own_kind: None) -> None:
    words = ["block", "create", "warehouse/a", "--overwrite"]
    assert cli(*words, "--set", "url=u", "--set", "token=canary", "--set", "size=2").code == 0
    assert cli(*words, "--set", "size=3").code == 0
    assert fake_api.blocks["warehouse/a"]["data"] == {"url": "u", "token": "canary", "size": 3}


def test_what_is_shown_is_masked(fake_api: FakeApi, cli: Cli) -> None:
    made = cli("block", "create", "secret/a", "--set", "value=canary", "--output", "json")
    assert made.json["data"] == {"value": "********"}
    assert cli("block", "inspect", "secret/a", "--output", "json").json["data"] == {"value": "********"}
    assert [item["name"] for item in cli("block", "ls", "--output", "json").json] == ["a"]
    shown = cli("block", "ls").out + cli("block", "inspect", "secret/a").out + cli("block", "types").out
    assert "secret/a" in shown
    assert "canary" not in shown


def test_delete_asks_first(fake_api: FakeApi, cli: Cli) -> None:
    cli("block", "create", "secret/a", "--set", "value=x")
    told = cli("block", "delete", "secret/a")
    assert (told.code, len(fake_api.blocks)) == (2, 1)
    assert cli("block", "delete", "secret/a", "--yes").code == 0
    assert fake_api.blocks == {}
    assert "there is no block secret/a" in cli("block", "delete", "secret/a", "--yes").err


def test_delete_of_what_is_used_lists_the_users_and_needs_force(fake_api: FakeApi, cli: Cli) -> None:
    cli("block", "create", "secret/a", "--set", "value=x")
    fake_api.usage = {
        "blocks": [{"id": "b", "type": "s3", "name": "dev", "field": "credentials"}],
        "deployments": [{"id": "d", "flow": "etl", "name": "main", "as": "storage"}],
        "loads": [
            {
                "who": {"type": "flow-run", "name": "brave"},
                "flow": "etl",
                "deployment": "main",
                "last": "today",
                "count": 3,
            }
        ],
    }
    told = cli("block", "delete", "secret/a", "--yes")
    assert told.code == 1
    assert "secret/a is used by block s3/dev (field credentials)\n" in told.err
    assert "secret/a is used by deployment etl/main (as storage)\n" in told.err
    assert "--force deletes it all the same" in told.err
    shown = cli("block", "inspect", "secret/a")
    assert "block s3/dev (field credentials), deployment etl/main (as storage)" in shown.out
    assert "brave (main of etl): 3 times, last today" in shown.out
    assert cli("block", "inspect", "secret/a", "--output", "json").json["usage"] == fake_api.usage
    assert cli("block", "delete", "secret/a", "--yes", "--force").code == 0
    assert fake_api.blocks == {}


def test_types_are_listed_by_interface_and_broken_ones_with_why(
    fake_api: FakeApi, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("block", "create", "secret/a", "--set", "value=x")
    cli("block", "create", "json/a", "--set", "value=1")
    assert [item["slug"] for item in cli("block", "types", "--interface", "secret", "--output", "json").json] == [
        "secret"
    ]
    paths = {**block_kinds.installed(), "torn": "no.such.package:Torn"}
    monkeypatch.setattr(block_kinds, "installed", lambda: paths)
    told = cli("block", "types", "--output", "json").json
    assert {item["slug"]: bool(item["broken"]) for item in told} == {"secret": False, "json": False, "torn": True}
    assert "BROKEN: block type 'torn' (no.such.package:Torn) does not import" in cli("block", "types").out


@pytest.mark.parametrize(
    ("name", "slug", "files"),
    [
        ("Warehouse", "warehouse", ["test_warehouse.py", "warehouse.py"]),
        ("sales DB-reader", "sales-db-reader", ["sales_db_reader.py", "test_sales_db_reader.py"]),
    ],
)
def test_new_writes_a_kind_that_registers_and_a_test_that_passes_as_written(
    fake_api: FakeApi, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, slug: str, files: list[str]
) -> None:
    folder = tmp_path / "own"
    told = cli("block", "new", name, "--folder", str(folder))
    assert told.code == 0
    assert sorted(item.name for item in folder.iterdir()) == files
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "-c", "/dev/null", *files],
        cwd=folder, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "5 passed" in ran.stdout, ran.stdout + ran.stderr
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(block_kinds, "classes", dict(block_kinds.classes))
    kind = next(item for item in files if not item.startswith("test_"))
    assert cli("block", "register", str(folder / kind)).code == 0
    assert fake_api.types[slug]["logo"]
    assert "is there already" in cli("block", "new", name, "--folder", str(folder)).err


@pytest.mark.parametrize(
    ("name", "message"), [("s3", "there is a kind s3 already"), ("1x", "names no class"), ("../x", "names no class")]
)
def test_new_refuses_names_that_cannot_be_used(cli: Cli, tmp_path: Path, name: str, message: str) -> None:
    told = cli("block", "new", name, "--folder", str(tmp_path / "own"))
    assert told.code == 2
    assert message in told.err
    assert not (tmp_path / "own").exists()


def test_register_refuses_a_file_that_hides_a_module_of_pythons_own(
    fake_api: FakeApi, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "json.py").write_text(OWN_KIND)
    told = cli("block", "register", str(tmp_path / "json.py"))
    assert told.code == 2
    assert "rename it" in told.err
