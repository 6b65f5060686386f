"""The static files: vendored with licence, small enough, and nothing fetched from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

from orchestrator.states import StateType
from orchestrator.web.icons import icon

WEB = Path(__file__).parents[3] / "web"
VENDOR = WEB / "static" / "vendor"


def test_every_vendored_library_has_licence_and_version_in_the_list() -> None:
    table = (VENDOR / "README.md").read_text("utf-8")
    recipe = (VENDOR / "refresh.sh").read_text("utf-8")
    folders = [item for item in VENDOR.iterdir() if item.is_dir() and item.name != "licences"]
    assert len(folders) >= 9
    for folder in folders:
        version = folder.name.rpartition("-")[2]
        assert (folder / "LICENSE").is_file(), folder.name
        assert f"| {version} |" in table, folder.name
        assert version in recipe, folder.name


def test_all_of_it_stays_small() -> None:
    assert sum(file.stat().st_size for file in VENDOR.rglob("*") if file.is_file()) < 4_000_000


def test_templates_fetch_nothing_from_elsewhere_and_hold_no_absolute_path() -> None:
    for file in (WEB / "templates").rglob("*.html"):
        text = file.read_text("utf-8")
        assert not re.findall(r"(?:src|href|action|hx-get|hx-post)=\"(?:https?:)?/", text), file.name
        assert not re.findall(r"\son\w+=\"", text), f"{file.name}: an inline handler, which the policy forbids"


def test_every_file_that_templates_name_exists() -> None:
    named = set()
    for file in (WEB / "templates").rglob("*.html"):
        named |= set(re.findall(r"asset\('([^']+)'\)", file.read_text("utf-8")))
    assert named
    for name in named:
        assert (WEB / "static" / name).is_file(), name


def test_every_icon_that_templates_name_is_vendored() -> None:
    for file in (WEB / "templates").rglob("*.html"):
        for name in re.findall(r"icon\(\"([a-z0-9-]+)\"\)", file.read_text("utf-8")):
            assert icon(name), f"{file.name}: {name}"


def test_every_state_has_its_colours_in_light_and_dark() -> None:
    text = (WEB / "static" / "orchestrator.css").read_text("utf-8")
    for name in [*(kind.value.lower() for kind in StateType), "late"]:
        assert f".state-{name} {{ --c:" in text
        assert text.count(f"--t-{name}:") == 2, name
