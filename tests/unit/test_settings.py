"""Settings: environment over profile over default, each with its source; profiles that only their owner reads."""

from __future__ import annotations

import os
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator import settings
from orchestrator.errors import SettingsError
from orchestrator.settings import Settings, load, read_profiles, resolve, write_profile


def sources(environ: dict[str, str]) -> dict[str, tuple[object, str]]:
    return {item.name: (item.value, item.source) for item in resolve(environ)}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"ORCHESTRATOR_HOME": str(tmp_path)}


def test_defaults(environ: dict[str, str], tmp_path: Path) -> None:
    found = load(environ)
    assert (found.home, found.port, found.lease) == (tmp_path, 4200, timedelta(seconds=30))
    assert found.path("spool", "x") == tmp_path / "spool" / "x"
    assert sources(environ)["port"] == (4200, "default")


def test_the_environment_wins_over_the_profile(environ: dict[str, str], tmp_path: Path) -> None:
    write_profile(tmp_path, "team", {"api_url": "http://team.test/", "port": 5000})
    environ["ORCHESTRATOR_PORT"] = "6000"
    found = sources(environ)
    assert found["api_url"] == ("http://team.test", "profile team")
    assert found["port"] == (6000, "environment")


def test_an_empty_variable_is_as_none(environ: dict[str, str]) -> None:
    assert load({**environ, "ORCHESTRATOR_PORT": ""}).port == 4200


def test_a_profile_is_chosen_by_the_environment(environ: dict[str, str], tmp_path: Path) -> None:
    write_profile(tmp_path, "one", {"port": 1})
    write_profile(tmp_path, "two", {"port": 2}, activate=False)
    assert load(environ).port == 1
    assert load({**environ, "ORCHESTRATOR_PROFILE": "two"}).port == 2
    with pytest.raises(SettingsError, match="three"):
        load({**environ, "ORCHESTRATOR_PROFILE": "three"})


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("heartbeat", "1m30s", timedelta(seconds=90)),
        ("allowed_hosts", " a.test, b.test,", ("a.test", "b.test")),
        ("log_prints", "off", False),
        ("log_prints", "YES", True),
        ("api_url", "http://x.test/ ", "http://x.test"),
    ],
)
def test_texts_become_values(environ: dict[str, str], name: str, text: str, value: object) -> None:
    assert getattr(load({**environ, f"ORCHESTRATOR_{name.upper()}": text}), name) == value


@pytest.mark.parametrize(
    ("name", "text"), [("PORT", "many"), ("LEASE", "soon"), ("LOG_PRINTS", "perhaps"), ("RESULTS_INLINE_MAX", "4 KiB")]
)
def test_a_value_that_cannot_be_read_names_its_variable(environ: dict[str, str], name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=f"ORCHESTRATOR_{name} \\(from environment\\)"):
        load({**environ, f"ORCHESTRATOR_{name}": text})


def test_a_broken_profile_file_is_named(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "profiles.toml").write_text("active = ")
    with pytest.raises(SettingsError, match=r"profiles\.toml"):
        load(environ)


def test_entries_are_changed_and_removed(tmp_path: Path) -> None:
    path = write_profile(tmp_path / "new", "team", {"port": 5000, "api_key": "orc_x"})
    assert path.stat().st_mode & 0o777 == 0o600
    write_profile(tmp_path / "new", "team", {"port": None, "host": "0.0.0.0"})
    assert read_profiles(tmp_path / "new") == {
        "active": "team",
        "profiles": {"team": {"api_key": "orc_x", "host": "0.0.0.0"}},
    }
    assert os.listdir(tmp_path / "new") == ["profiles.toml"]
    settings.delete_profile(tmp_path / "new", "team")
    settings.delete_profile(tmp_path / "new", "team")
    assert read_profiles(tmp_path / "new")["profiles"] == {}


@pytest.mark.parametrize(("key", "value"), [("colour", "red"), ("home", "x"), ("profile", "x"), ("port", "many")])
def test_what_is_no_entry_is_refused_and_nothing_written(tmp_path: Path, key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"(?i){key}"):
        write_profile(tmp_path, "team", {"host": "x", key: value})
    assert not (tmp_path / "profiles.toml").exists()


def test_every_setting_says_what_it_is() -> None:
    for item in fields(Settings):
        assert item.metadata["help"].endswith("."), item.name
    secrets = {item.name for item in fields(Settings) if item.metadata["secret"]}
    assert secrets == {"api_key", "database_url", "redis_url", "migration_url", "secret_key"}
