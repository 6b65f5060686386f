"""What holds for each shipped kind of block, and the behaviour of the small ones."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from orchestrator.block import Block
from orchestrator.blocks.json import JSON
from orchestrator.blocks.local_file_system import LocalFileSystem
from orchestrator.blocks.process import Process
from orchestrator.blocks.s3 import S3
from orchestrator.blocks.secret import Secret
from orchestrator.interfaces import LaunchSpec, Running
from orchestrator.kinds import block_kinds

SHIPPED: list[type[Block]] = [JSON, LocalFileSystem, Process, S3, Secret]


@pytest.mark.parametrize("kind", SHIPPED)
def test_the_facts_are_whole_and_the_schema_is_one(kind: type[Block]) -> None:
    facts = kind.type_facts()
    assert all(facts[key] for key in ("slug", "name", "description", "logo", "code_example", "import_path"))
    assert facts["description"].endswith(".")
    jsonschema.Draft202012Validator.check_schema(facts["schema"])
    assert all(item.get("description") for item in facts["schema"]["properties"].values())
    assert facts["logo"].startswith("tabler:")
    compile(facts["code_example"], facts["slug"], "exec")
    assert block_kinds.find(facts["slug"]) is kind


class Host:
    """Stands in for an agent: tells what it was asked to start."""

    def start(self, spec: LaunchSpec) -> Running:
        self.asked = spec
        return self  # type: ignore[return-value]


def test_process_lays_its_environment_under_the_runs() -> None:
    host = Host()
    made = Process(env={"A": "block", "B": "block"}, working_dir="/data")
    assert made.launch(LaunchSpec(env={"A": "run"}, working_dir="/run", name="n", attempt=2), host) is host
    assert host.asked == LaunchSpec(env={"A": "run", "B": "block"}, working_dir="/data", name="n", attempt=2)
    Process().launch(LaunchSpec(working_dir="/run"), host)
    assert host.asked.working_dir == "/run"


@pytest.mark.parametrize("env", [{"": "x"}, {"A=B": "x"}, {"1A": "x"}, {"A": "x\0"}, {"A": 1}])
def test_process_refuses_what_is_no_environment(env: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Process(env=env)


def test_secret_gives_its_value_and_shows_none() -> None:
    made = Secret(value="canary")
    assert made.get() == "canary"
    assert "canary" not in repr(made)


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "text", [1, {"a": None}], {"a": [1]}])
def test_json_takes_any_json_value(value: Any) -> None:
    made = JSON(value=value)
    assert JSON.from_document(made.to_document()).get() == value


def test_json_refuses_what_is_none() -> None:
    with pytest.raises(ValidationError):
        JSON(value=object())  # type: ignore[arg-type]
