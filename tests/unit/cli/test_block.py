"""``orchestrator block``."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import block_kinds
from orchestrator.blocks.process import Process

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


def test_create_refers_to_another_block_by_its_name(fake_api: FakeApi, cli: Cli, own_kind: None) -> None:
    assert cli("block", "create", "json/shared", "--set", 'value={"a": 1}').code == 0
    words = ["--set", "url=u", "--set", "token=t", "--set", "settings=json/shared"]
    assert cli("block", "create", "warehouse/a", *words).code == 0
    assert fake_api.blocks["warehouse/a"]["data"]["settings"] == {"$block": fake_api.blocks["json/shared"]["id"]}


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


def test_create_asks_for_what_is_missing_and_hides_secrets(
    fake_api: FakeApi, cli: Cli, own_kind: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked: list[tuple[str, bool]] = []

    def prompt(text: str, hide_input: bool, **_: Any) -> str:
        asked.append((text, hide_input))
        return f"answer {len(asked)}"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr("click.prompt", prompt)
    assert cli("block", "create", "warehouse/a").code == 0
    assert asked == [("Url", False), ("Token", True)]
    assert fake_api.blocks["warehouse/a"]["data"] == {"url": "answer 1", "token": "answer 2"}


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
