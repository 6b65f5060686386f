"""The container files, held against the package: no Docker engine is needed to see that they still fit."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from orchestrator.cli import cli
from orchestrator.settings import PREFIX, Settings

DOCKER = Path(__file__).resolve().parents[2] / "docker"
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service.get("image") == "orchestrator")


def instructions() -> list[tuple[str, str]]:
    text = (DOCKER / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines]


def test_every_part_has_a_container() -> None:
    assert set(SERVICES) >= {"api", "beat", "services", "agent", "postgres", "redis"}
    assert set(OURS) == {"agent", "api", "beat", "migrate", "services"}


@pytest.mark.parametrize("name", OURS)
def test_commands_exist(name: str) -> None:
    service = SERVICES[name]
    entrypoint = service.get("entrypoint", ["orchestrator"])
    command = service.get("command", [])
    if entrypoint == ["orchestrator"]:
        must_be_a_command(command)
        return
    assert entrypoint[:2] == ["python", "-m"]
    assert find_spec(entrypoint[2]), entrypoint[2]
    for word in command:
        if found := re.fullmatch(r"(orchestrator[\w.]*)(?::(\w+)\(\))?", word):
            module = __import__(found[1], fromlist=["_"])
            assert found[2] is None or callable(getattr(module, found[2]))


def must_be_a_command(words: list[str]) -> None:
    command: click.Command = cli
    context = click.Context(cli, info_name="orchestrator")
    words = list(words)
    while isinstance(command, click.Group):
        found = command.get_command(context, words.pop(0))
        assert found is not None
        command = found
    command.make_context("compose", words)


@pytest.mark.parametrize("name", OURS)
def test_environments_are_settings(name: str) -> None:
    known = {PREFIX + field.upper() for field in Settings.__dataclass_fields__}
    assert set(SERVICES[name]["environment"]) <= known


def test_an_agent_is_told_the_api_alone() -> None:
    assert set(SERVICES["agent"]["environment"]) == {"ORCHESTRATOR_API_URL", "ORCHESTRATOR_API_KEY"}


def test_dependencies_exist_and_are_awaited() -> None:
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            assert how["condition"] != "service_healthy" or "healthcheck" in SERVICES[other]
    assert all("healthcheck" in SERVICES[name] for name in ("api", "postgres", "redis"))
    volumes = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert volumes == set(COMPOSE["volumes"])


def test_no_secret_is_written_down() -> None:
    text = (DOCKER / "compose.yaml").read_text("utf-8")
    for variable in ("ORCHESTRATOR_SECRET_KEY", "ORCHESTRATOR_API_KEY", "POSTGRES_PASSWORD"):
        for value in re.findall(rf"^\s+{variable}: (.*)$", text, re.MULTILINE):
            assert value.startswith("${"), value


def test_the_image_runs_as_nobody_special() -> None:
    steps = instructions()
    assert [rest for word, rest in steps if word == "FROM"] == ["python:3.12-slim AS build", "python:3.12-slim"]
    (user,) = [rest for word, rest in steps if word == "USER"]
    assert user == "orchestrator"
    words = [word for word, _ in steps]
    assert words.index("USER") < words.index("ENTRYPOINT")
    entrypoint, command = (next(rest for word, rest in steps if word == name) for name in ("ENTRYPOINT", "CMD"))
    assert yaml.safe_load(entrypoint) == ["orchestrator"]
    must_be_a_command(yaml.safe_load(command))
    sources = [rest.split()[0] for word, rest in steps if word == "COPY" and not rest.startswith("--from")]
    assert all((DOCKER.parent / source).exists() for source in sources)
