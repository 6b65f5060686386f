"""The pages on blocks and deployments name everything there is, and their examples are true."""

from __future__ import annotations

import re
from pathlib import Path

import click

from orchestrator.cli.deployment import build
from orchestrator.projects import deployments

DOCS = Path(__file__).resolve().parents[2] / "docs"


def blocks_of(page: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def test_python_examples_compile() -> None:
    for code in blocks_of("blocks.md", "python"):
        compile(code, "blocks.md", "exec")


def test_the_file_in_the_page_is_valid_and_has_every_key() -> None:
    example = blocks_of("deployments.md", "yaml")[0]
    (document,) = deployments.parse(example, "deployments.md")
    assert all(f"\n{key}:" in "\n" + example for key in deployments.KEYS)
    text = (DOCS / "deployments.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in deployments.KEYS)
    assert deployments.parse(deployments.render(document)) == [document]


def test_the_schedule_in_its_page_is_valid_and_every_key_is_there() -> None:
    example = blocks_of("schedules.md", "yaml")[0]
    (document,) = deployments.parse(f"flow: f\nname: n\nentrypoint: f.py:f\n{example}", "schedules.md")
    assert len(document.schedules or ()) == 1
    text = (DOCS / "schedules.md").read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in deployments.SCHEDULE_KEYS)
    assert deployments.parse(deployments.render(document)) == [document]


def test_every_option_of_build_is_in_the_page() -> None:
    text = (DOCS / "deployments.md").read_text(encoding="utf-8")
    options = [item for item in build.params if isinstance(item, click.Option) and item.name != "help"]
    missing = [item.opts[-1] for item in options if not any(name in text for name in item.opts)]
    assert missing == []
