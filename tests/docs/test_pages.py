"""The documentation says what is: pages made from the code are current, links hold, commands exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
import yaml

from orchestrator.cli import cli
from orchestrator.settings import PREFIX, Settings

TREE = Path(__file__).resolve().parents[2]
DOCS = TREE / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *(TREE / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))])
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_VARIABLE = re.compile(PREFIX + r"([A-Z][A-Z_]*[A-Z])")
#: Names that begin like settings and are none: click's completion and the tests' own.
_NO_SETTINGS = {"TEST_SCREENSHOTS", "COMPLETE", "TEST_DATABASE_URL", "TEST_REDIS_URL"}


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_docs", DOCS / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pages_made_from_the_code_are_current() -> None:
    for path, text in generator().pages().items():
        assert path.read_text("utf-8") == text, f"{path.name} is old: run python docs/generate.py"
    assert generator().gone() == []


def test_every_command_is_documented_with_its_options() -> None:
    text = (DOCS / "cli.md").read_text("utf-8")
    context = click.Context(cli, info_name="orchestrator")
    for noun in cli.list_commands(context):
        command = cli.get_command(context, noun)
        assert command is not None
        for path, found in generator().walk(command, f"orchestrator {noun}"):
            assert f"### `{path}`" in text
            for option in found.params:
                if isinstance(option, click.Option) and not option.hidden:
                    assert option.help, f"{path} {option.opts[0]} has no help"
            assert found.help, f"{path} has no help"


def test_every_page_is_in_the_navigation_and_the_other_way_round() -> None:
    def files(entry: object) -> Iterator[str]:
        for item in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else [entry]:
            yield from files(item) if isinstance(item, (list, dict)) else [str(item)]

    listed = list(files(yaml.safe_load((TREE / "mkdocs.yml").read_text("utf-8"))["nav"]))
    assert sorted(listed) == sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    for target in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor and found.suffix == ".md":
            assert anchor in anchors(found), f"{page.name}: {target}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading.lower()).strip()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_examples_exist(page: Path) -> None:
    for language, block in _FENCE.findall(page.read_text("utf-8")):
        if language not in ("sh", "bash", "console", "shell"):
            continue
        for line in block.replace("\\\n", " ").splitlines():
            for words in commands(line):
                check_command(words, f"{page.name}: {line.strip()}")


def commands(line: str) -> Iterator[list[str]]:
    """The calls of ``orchestrator`` in a line of shell."""
    words = shlex.split(line.removeprefix("$ "), comments=True)
    for place, word in enumerate(words):
        if Path(word).name == "orchestrator" and (place == 0 or words[place - 1] in ("&&", "|", ";", "then")):
            rest = words[place + 1 :]
            ends = [number for number, item in enumerate(rest) if item in ("&&", "|", ";", ">", "&")]
            yield rest[: ends[0]] if ends else rest


def check_command(words: list[str], where: str) -> None:
    command: click.Command = cli
    context = click.Context(cli, info_name="orchestrator")
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        if found is None:
            assert words[0].startswith("-"), f"{where}: there is no command {words[0]!r}"
            return
        command, words = found, words[1:]
    words = words[: words.index("--")] if "--" in words else words
    known = {name for item in command.params for name in (*item.opts, *item.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in known, f"{where}: there is no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_named_exist(page: Path) -> None:
    known = {name.upper() for name in Settings.__dataclass_fields__}
    named = set(_VARIABLE.findall(page.read_text("utf-8"))) - _NO_SETTINGS
    assert named <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_examples_compiles(page: Path) -> None:
    for language, block in _FENCE.findall(page.read_text("utf-8")):
        if language in ("python", "py"):
            compile(block, f"{page.name} example", "exec")


def test_no_page_names_a_place_of_its_writer() -> None:
    for page in [*PAGES, TREE / "tox.ini", TREE / "setup.cfg", TREE / "mkdocs.yml"]:
        text = page.read_text("utf-8")
        assert not re.search(r"/(?:root|work|tmp)/|/home/(?!orchestrator)", text), page.name
